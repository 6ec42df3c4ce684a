"""Pages and API of this app."""

from django.urls import URLPattern, URLResolver, include, path

from audit.views import events

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("audit.api.urls")),
    path("audit/", events.event_list, name="audit"),
    path("audit/<slug:uid>/", events.event, name="event"),
]
