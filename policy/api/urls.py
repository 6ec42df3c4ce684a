"""REST addresses of this app, and the OpenAPI document of all."""

from django.urls import URLPattern, URLResolver, path

from policy.api import approvals, quotas, rule_urls, sandbox, views
from policy.api.schema import SchemaView

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/schema/", SchemaView.as_view(), name="api_schema"),
    path("api/v1/teams/", views.TeamList.as_view(), name="api_teams"),
    path("api/v1/keys/", views.KeyList.as_view(), name="api_keys"),
    path("api/v1/quotas/", quotas.QuotaList.as_view(), name="api_quotas"),
    path("api/v1/quotas/<int:pk>/", quotas.QuotaDetail.as_view(), name="api_quota"),
    path(
        "api/v1/quotas/<int:pk>/remove/",
        quotas.QuotaRemove.as_view(),
        name="api_quota_remove",
    ),
    path(
        "api/v1/keys/<int:pk>/revoke/",
        views.KeyRevoke.as_view(),
        name="api_key_revoke",
    ),
    path(
        "api/v1/keys/<int:pk>/sandbox/",
        sandbox.KeySandbox.as_view(),
        name="api_key_sandbox",
    ),
    path(
        "api/v1/teams/<slug:slug>/sandbox/",
        sandbox.TeamSandbox.as_view(),
        name="api_team_sandbox",
    ),
    path(
        "api/v1/environments/<slug:slug>/sandbox/",
        sandbox.EnvironmentSandbox.as_view(),
        name="api_environment_sandbox",
    ),
    path(
        "api/v1/gvisor-tools/", sandbox.GVisorTools.as_view(), name="api_gvisor_tools"
    ),
    path(
        "api/v1/gvisor-tools/<int:pk>/remove/",
        sandbox.GVisorToolRemove.as_view(),
        name="api_gvisor_tool_remove",
    ),
    path(
        "api/v1/policy/approver-groups/",
        approvals.GroupList.as_view(),
        name="api_approver_groups",
    ),
    path(
        "api/v1/policy/approver-groups/<slug:slug>/",
        approvals.GroupDetail.as_view(),
        name="api_approver_group",
    ),
    path(
        "api/v1/policy/approver-groups/<slug:slug>/remove/",
        approvals.GroupRemove.as_view(),
        name="api_approver_group_remove",
    ),
    path(
        "api/v1/policy/channels/", approvals.ChannelList.as_view(), name="api_channels"
    ),
    path(
        "api/v1/policy/channels/<int:pk>/",
        approvals.ChannelDetail.as_view(),
        name="api_channel",
    ),
    path(
        "api/v1/policy/channels/<int:pk>/remove/",
        approvals.ChannelRemove.as_view(),
        name="api_channel_remove",
    ),
    path(
        "api/v1/policy/messages/", approvals.MessageList.as_view(), name="api_messages"
    ),
    path(
        "api/v1/policy/messages/<int:pk>/again/",
        approvals.MessageAgain.as_view(),
        name="api_message_again",
    ),
    *rule_urls.urlpatterns,
]
