"""Pages of this app."""

from django.urls import URLPattern, URLResolver, path

from audit.views import events

urlpatterns: list[URLPattern | URLResolver] = [
    path("audit/", events.event_list, name="audit"),
    path("audit/<slug:uid>/", events.event, name="event"),
]
