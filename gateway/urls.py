"""Pages of the catalog, the runs and the playground."""

from django.urls import URLPattern, URLResolver, path

from gateway.api.urls import urlpatterns as api_urls
from gateway.views import (
    access,
    approvals,
    audit_reports,
    catalog_grants,
    catalog_servers,
    catalog_tools,
    explain,
    model_servers,
    outcomes,
    overview,
    playground,
    reach,
    rule_drafts,
    rule_editor,
    rule_replay,
    rules,
    runs,
    system,
    tasks,
)

urlpatterns: list[URLPattern | URLResolver] = [
    *api_urls,
    path("", overview.overview, name="overview"),
    path("runs/", runs.run_list, name="runs"),
    path("runs/unknown/", outcomes.unknown_outcomes, name="unknown_outcomes"),
    path("runs/unknown/<int:pk>/", outcomes.outcome_resolve, name="outcome_resolve"),
    path("runs/<slug:uid>/", runs.run_detail, name="run"),
    path("runs/<slug:uid>/cancel/", runs.run_cancel, name="run_cancel"),
    path("tasks/", tasks.task_list, name="tasks"),
    path("tasks/<slug:uid>/", tasks.task_detail, name="task"),
    path("tasks/<slug:uid>/outcome/", tasks.task_outcome, name="task_outcome"),
    path("approvals/", approvals.approval_list, name="approvals"),
    path("approvals/decide/", approvals.approvals_decide, name="approvals_decide"),
    path("approvals/figures/", approvals.approval_figures, name="approval_figures"),
    path("approvals/<slug:uid>/", approvals.approval_detail, name="approval"),
    path(
        "approvals/<slug:uid>/decide/",
        approvals.approval_decide,
        name="approval_decide",
    ),
    path("model-servers/", model_servers.model_server_list, name="model_servers"),
    path("model-servers/add/", model_servers.model_server_add, name="model_server_add"),
    path(
        "model-servers/<slug:name>/",
        model_servers.model_server_detail,
        name="model_server",
    ),
    path(
        "model-servers/<slug:name>/change/",
        model_servers.model_server_change,
        name="model_server_change",
    ),
    path(
        "model-servers/<slug:name>/test/",
        model_servers.model_server_test,
        name="model_server_test",
    ),
    path(
        "model-servers/<slug:name>/status/",
        model_servers.model_server_status,
        name="model_server_status",
    ),
    path("playground/", playground.playground, name="playground"),
    path("playground/tools/", playground.playground_tools, name="playground_tools"),
    path(
        "playground/<slug:uid>/outcome/",
        playground.playground_outcome,
        name="playground_outcome",
    ),
    path("policy/explain/", explain.explain_call, name="explain"),
    path("policy/rules/", rules.rule_list, name="rules"),
    path("policy/rules/yaml/", rules.rules_yaml, name="rules_yaml"),
    path("policy/rules/upload/", rule_drafts.rules_upload, name="rules_upload"),
    path("policy/rules/settings/", rules.rule_settings, name="rule_settings"),
    path(
        "policy/rules/condition/", rule_editor.condition_check, name="condition_check"
    ),
    path(
        "policy/rules/suggest/", rule_editor.rule_suggestions, name="rule_suggestions"
    ),
    path("policy/rules/rule/<slug:rule>/", rules.rule_detail, name="rule"),
    path("policy/rules/versions/", rules.version_list, name="rule_versions"),
    path(
        "policy/rules/versions/<int:number>/",
        rules.version_detail,
        name="rule_version",
    ),
    path(
        "policy/rules/versions/<int:number>/revert/",
        rules.version_revert,
        name="version_revert",
    ),
    path("policy/rules/drafts/", rule_drafts.draft_begin, name="draft_begin"),
    path("policy/rules/drafts/<slug:uid>/", rule_drafts.draft_detail, name="draft"),
    path(
        "policy/rules/drafts/<slug:uid>/publish/",
        rule_drafts.draft_publish,
        name="draft_publish",
    ),
    path(
        "policy/rules/drafts/<slug:uid>/rebase/",
        rule_drafts.draft_rebase,
        name="draft_rebase",
    ),
    path(
        "policy/rules/drafts/<slug:uid>/discard/",
        rule_drafts.draft_discard,
        name="draft_discard",
    ),
    path(
        "policy/rules/drafts/<slug:uid>/replay/",
        rule_replay.draft_replay,
        name="draft_replay",
    ),
    path(
        "policy/rules/drafts/<slug:uid>/add/",
        rule_editor.draft_rule_add,
        name="draft_rule_add",
    ),
    path(
        "policy/rules/drafts/<slug:uid>/rules/<slug:rule>/",
        rule_editor.draft_rule,
        name="draft_rule",
    ),
    path(
        "policy/rules/drafts/<slug:uid>/rules/<slug:rule>/remove/",
        rule_drafts.draft_rule_remove,
        name="draft_rule_remove",
    ),
    path("settings/system/", system.system, name="system"),
    path("audit/reports/", audit_reports.audit_reports, name="audit_reports"),
    path(
        "audit/reports/access/review/",
        audit_reports.access_review,
        name="access_review",
    ),
    path("audit/reports/<slug:slug>/", audit_reports.audit_report, name="audit_report"),
    path("policy/access/", access.access_matrix, name="access"),
    path("policy/access/reach/", reach.access_reach, name="access_reach"),
    path(
        "policy/access/callers/<slug:server>/<slug:name>/",
        reach.access_callers,
        name="access_callers",
    ),
    path("catalog/servers/", catalog_servers.server_list, name="servers"),
    path("catalog/servers/add/", catalog_servers.server_add, name="server_add"),
    path("catalog/servers/<slug:name>/", catalog_servers.server_detail, name="server"),
    path(
        "catalog/servers/<slug:name>/change/",
        catalog_servers.server_change,
        name="server_change",
    ),
    path(
        "catalog/servers/<slug:name>/sync/",
        catalog_servers.server_sync,
        name="server_sync",
    ),
    path(
        "catalog/servers/<slug:name>/status/",
        catalog_servers.server_status,
        name="server_status",
    ),
    path("catalog/grants/give/", catalog_grants.grant_give, name="grant_give"),
    path("catalog/grants/take/", catalog_grants.grant_take, name="grant_take"),
    path("catalog/tools/", catalog_tools.tool_list, name="tools"),
    path("catalog/tools/review/", catalog_tools.tools_review, name="tools_review"),
    path(
        "catalog/tools/<slug:server>/<slug:name>/",
        catalog_tools.tool_detail,
        name="tool",
    ),
    path(
        "catalog/tools/<slug:server>/<slug:name>/effect/",
        catalog_tools.tool_effect,
        name="tool_effect",
    ),
    path(
        "catalog/tools/<slug:server>/<slug:name>/environments/",
        catalog_tools.tool_environments,
        name="tool_environments",
    ),
    path(
        "catalog/tools/<slug:server>/<slug:name>/tags/",
        catalog_tools.tool_tags,
        name="tool_tags",
    ),
    path(
        "catalog/tools/<slug:server>/<slug:name>/direct/",
        catalog_tools.tool_direct,
        name="tool_direct",
    ),
    path(
        "catalog/tools/<slug:server>/<slug:name>/approval/",
        catalog_tools.tool_approval,
        name="tool_approval",
    ),
    path(
        "catalog/tools/<slug:server>/<slug:name>/idempotency/",
        catalog_tools.tool_idempotency,
        name="tool_idempotency",
    ),
]
