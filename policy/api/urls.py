"""REST addresses of this app, and the OpenAPI document of all."""

from django.urls import URLPattern, URLResolver, path

from policy.api import views
from policy.api.schema import SchemaView

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/schema/", SchemaView.as_view(), name="api_schema"),
    path("api/v1/teams/", views.TeamList.as_view(), name="api_teams"),
    path("api/v1/keys/", views.KeyList.as_view(), name="api_keys"),
    path(
        "api/v1/keys/<int:pk>/revoke/",
        views.KeyRevoke.as_view(),
        name="api_key_revoke",
    ),
]
