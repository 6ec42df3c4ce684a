"""REST addresses of the catalog and the runs."""

from django.urls import URLPattern, URLResolver, path

from gateway.api import (
    audit_reports,
    grants,
    holds,
    otlp,
    policy,
    reach,
    task_outcomes,
    tool_settings,
    usage,
    views,
)
from gateway.selectors.audit_reports import REPORTS

urlpatterns: list[URLPattern | URLResolver] = [
    *(
        path(
            f"api/v1/audit/reports/{report.slug}/",
            audit_reports.view_of(report).as_view(),
            name=f"api_report_{report.slug}",
        )
        for report in REPORTS
    ),
    path("api/v1/servers/", views.ServerList.as_view(), name="api_servers"),
    path("api/v1/tools/", views.ToolList.as_view(), name="api_tools"),
    path(
        "api/v1/tools/<slug:server>/<slug:name>/",
        views.ToolDetail.as_view(),
        name="api_tool",
    ),
    path(
        "api/v1/tools/<slug:server>/<slug:name>/settings/",
        tool_settings.ToolSettings.as_view(),
        name="api_tool_settings",
    ),
    path("api/v1/runs/", views.RunList.as_view(), name="api_runs"),
    path("api/v1/runs/<slug:uid>/", views.RunDetail.as_view(), name="api_run"),
    path(
        "api/v1/runs/<slug:uid>/cancel/",
        views.RunCancel.as_view(),
        name="api_run_cancel",
    ),
    path(
        "api/v1/tasks/<slug:uid>/outcome/",
        task_outcomes.TaskOutcome.as_view(),
        name="api_task_outcome",
    ),
    path("api/v1/usage/", usage.UsageReports.as_view(), name="api_usage"),
    path("otlp/v1/traces", otlp.OtlpTraces.as_view(), name="api_otlp_traces"),
    path("api/v1/grants/", grants.GrantList.as_view(), name="api_grants"),
    path("api/v1/grants/give/", grants.GrantGive.as_view(), name="api_grant_give"),
    path("api/v1/grants/take/", grants.GrantTake.as_view(), name="api_grant_take"),
    path("api/v1/approvals/", holds.ApprovalList.as_view(), name="api_approvals"),
    path(
        "api/v1/approvals/decide/",
        holds.ApprovalsDecide.as_view(),
        name="api_approvals_decide",
    ),
    path(
        "api/v1/approvals/<slug:uid>/",
        holds.ApprovalDetail.as_view(),
        name="api_approval",
    ),
    path(
        "api/v1/approvals/<slug:uid>/decide/",
        holds.ApprovalDecide.as_view(),
        name="api_approval_decide",
    ),
    path("api/v1/outcomes/", holds.OutcomeList.as_view(), name="api_outcomes"),
    path(
        "api/v1/outcomes/<int:pk>/",
        holds.OutcomeResolve.as_view(),
        name="api_outcome_resolve",
    ),
    path("api/v1/policy/explain/", policy.Explain.as_view(), name="api_explain"),
    path("api/v1/policy/reach/", reach.ReachList.as_view(), name="api_reach"),
    path(
        "api/v1/policy/callers/<slug:server>/<slug:name>/",
        reach.CallerList.as_view(),
        name="api_callers",
    ),
    path("api/v1/policy/hits/", policy.RuleHits.as_view(), name="api_rule_hits"),
    path(
        "api/v1/policy/drafts/<slug:uid>/replay/",
        policy.Replay.as_view(),
        name="api_draft_replay",
    ),
    path(
        "api/v1/policy/replays/<slug:uid>/",
        policy.ReplayDetail.as_view(),
        name="api_replay",
    ),
]
