"""Pages and API of this app."""

from django.urls import URLPattern, URLResolver, include, path

from audit.views import events, saved

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("audit.api.urls")),
    path("audit/", events.event_list, name="audit"),
    path("audit/views/save/", saved.view_save, name="view_save"),
    path("audit/views/<int:pk>/remove/", saved.view_remove, name="view_remove"),
    path("audit/<slug:uid>/", events.event, name="event"),
]
