"""Pages and API of this app."""

from django.urls import URLPattern, URLResolver, include, path

from policy.views import (
    approver_groups,
    keys,
    notifications,
    people,
    personal_keys,
    quotas,
    sandbox,
    session,
    teams,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("policy.api.urls")),
    path("sign-in/", session.sign_in, name="sign_in"),
    path("sign-out/", session.sign_out, name="sign_out"),
    path("settings/teams/", teams.team_list, name="teams"),
    path("settings/teams/add/", teams.team_add, name="team_add"),
    path("settings/teams/<slug:slug>/", teams.team, name="team"),
    path("settings/teams/<slug:slug>/change/", teams.team_change, name="team_change"),
    path(
        "settings/teams/<slug:slug>/members/add/", teams.member_add, name="member_add"
    ),
    path(
        "settings/teams/<slug:slug>/members/<int:pk>/remove/",
        teams.member_remove,
        name="member_remove",
    ),
    path(
        "settings/teams/<slug:slug>/projects/add/",
        teams.project_add,
        name="project_add",
    ),
    path(
        "settings/teams/<slug:slug>/accounts/add/",
        teams.account_add,
        name="account_add",
    ),
    path("policy/quotas/", quotas.quota_list, name="quotas"),
    path("policy/quotas/add/", quotas.quota_add, name="quota_add"),
    path("policy/quotas/<int:pk>/", quotas.quota, name="quota"),
    path("policy/quotas/<int:pk>/change/", quotas.quota_change, name="quota_change"),
    path("policy/quotas/<int:pk>/remove/", quotas.quota_remove, name="quota_remove"),
    path("settings/people/", people.people, name="people"),
    path("settings/people/add/", people.person_add, name="person_add"),
    path("settings/people/password/", people.person_password, name="person_password"),
    path(
        "settings/people/<int:pk>/active/", people.person_active, name="person_active"
    ),
    path("settings/people/<int:pk>/reset/", people.person_reset, name="person_reset"),
    path("settings/environments/", people.environments, name="environments"),
    path(
        "settings/environments/<slug:slug>/sandbox/",
        sandbox.environment_sandbox,
        name="environment_sandbox",
    ),
    path(
        "settings/teams/<slug:slug>/sandbox/",
        sandbox.team_sandbox,
        name="team_sandbox",
    ),
    path("settings/keys/<int:pk>/sandbox/", sandbox.key_sandbox, name="key_sandbox"),
    path("settings/gvisor-tools/add/", sandbox.gvisor_tool_add, name="gvisor_tool_add"),
    path(
        "settings/gvisor-tools/<int:pk>/remove/",
        sandbox.gvisor_tool_remove,
        name="gvisor_tool_remove",
    ),
    path("settings/personal-keys/", personal_keys.personal_keys, name="personal_keys"),
    path(
        "settings/personal-keys/created/",
        personal_keys.personal_key_created,
        name="personal_key_created",
    ),
    path(
        "settings/personal-keys/<int:pk>/revoke/",
        personal_keys.personal_key_revoke,
        name="personal_key_revoke",
    ),
    path("settings/keys/", keys.key_list, name="keys"),
    path("settings/keys/create/", keys.key_create, name="key_create"),
    path("settings/keys/created/", keys.key_created, name="key_created"),
    path("settings/keys/<int:pk>/revoke/", keys.key_revoke, name="key_revoke"),
    path(
        "settings/approver-groups/", approver_groups.group_list, name="approver_groups"
    ),
    path(
        "settings/approver-groups/add/",
        approver_groups.group_add,
        name="approver_group_add",
    ),
    path(
        "settings/approver-groups/<slug:slug>/",
        approver_groups.group_change,
        name="approver_group",
    ),
    path(
        "settings/approver-groups/<slug:slug>/remove/",
        approver_groups.group_remove,
        name="approver_group_remove",
    ),
    path("settings/notifications/", notifications.channel_list, name="notifications"),
    path(
        "settings/notifications/add/",
        notifications.channel_add,
        name="notification_add",
    ),
    path(
        "settings/notifications/secret/",
        notifications.channel_secret,
        name="notification_secret",
    ),
    path(
        "settings/notifications/<int:pk>/",
        notifications.channel,
        name="notification_channel",
    ),
    path(
        "settings/notifications/<int:pk>/rotate/",
        notifications.channel_rotate,
        name="notification_rotate",
    ),
    path(
        "settings/notifications/<int:pk>/test/",
        notifications.channel_test,
        name="notification_test",
    ),
    path(
        "settings/notifications/<int:pk>/remove/",
        notifications.channel_remove,
        name="notification_remove",
    ),
    path(
        "settings/notifications/messages/<int:pk>/again/",
        notifications.message_again,
        name="notification_again",
    ),
]
