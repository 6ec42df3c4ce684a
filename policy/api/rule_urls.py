"""REST addresses of rules, their versions and drafts."""

from django.urls import URLPattern, URLResolver, path

from policy.api import rules

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/policy/rules/", rules.LiveRules.as_view(), name="api_rules"),
    path("api/v1/policy/export/", rules.Export.as_view(), name="api_rules_export"),
    path("api/v1/policy/check/", rules.CheckRules.as_view(), name="api_rules_check"),
    path(
        "api/v1/policy/settings/",
        rules.PolicySettings.as_view(),
        name="api_policy_settings",
    ),
    path("api/v1/policy/versions/", rules.VersionList.as_view(), name="api_versions"),
    path(
        "api/v1/policy/versions/<int:number>/",
        rules.VersionDetail.as_view(),
        name="api_version",
    ),
    path(
        "api/v1/policy/versions/<int:number>/diff/",
        rules.VersionDiff.as_view(),
        name="api_version_diff",
    ),
    path(
        "api/v1/policy/versions/<int:number>/revert/",
        rules.Revert.as_view(),
        name="api_version_revert",
    ),
    path("api/v1/policy/drafts/", rules.DraftList.as_view(), name="api_drafts"),
    path(
        "api/v1/policy/drafts/<slug:uid>/",
        rules.DraftDetail.as_view(),
        name="api_draft",
    ),
    path(
        "api/v1/policy/drafts/<slug:uid>/rules/",
        rules.DraftRules.as_view(),
        name="api_draft_rules",
    ),
    path(
        "api/v1/policy/drafts/<slug:uid>/rules/<slug:rule>/",
        rules.DraftRule.as_view(),
        name="api_draft_rule",
    ),
    path(
        "api/v1/policy/drafts/<slug:uid>/diff/",
        rules.DraftDiff.as_view(),
        name="api_draft_diff",
    ),
    path(
        "api/v1/policy/drafts/<slug:uid>/propose/",
        rules.DraftPropose.as_view(),
        name="api_draft_propose",
    ),
    path(
        "api/v1/policy/drafts/<slug:uid>/publish/",
        rules.DraftPublish.as_view(),
        name="api_draft_publish",
    ),
    path(
        "api/v1/policy/drafts/<slug:uid>/rebase/",
        rules.DraftRebase.as_view(),
        name="api_draft_rebase",
    ),
]
