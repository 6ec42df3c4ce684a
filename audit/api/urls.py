"""REST addresses of the trail."""

from django.urls import URLPattern, URLResolver, path

from audit.api import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/audit/events/", views.EventList.as_view(), name="api_events"),
    path(
        "api/v1/audit/events/<slug:uid>/",
        views.EventDetail.as_view(),
        name="api_event",
    ),
]
