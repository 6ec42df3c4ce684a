"""Every address × every role, as a table; test_access_matrix.py tries each line.

One line per address and method:

    row("GET", "team", "S4+++3+", slug="sales")

A line gives the method, the name of the URL, one letter for each of the CAST in their
order, and the URL's arguments; "@run" stands for the world's run, see ``world`` there.

    S asked to sign in (a redirect to the page, or 401 from the API)    + let in
    3 refused with 403, on record    4 not found    5 method not allowed
    K refused with 403, since it takes a key and no person

For a new page, add a line. ``body=`` is what is posted, ``json=True`` sends it as JSON,
``query=`` is what follows the ``?``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CAST = ("anonymous", "outsider", "member", "approver", "auditor", "finance", "admin")


@dataclass(frozen=True)
class Row:
    method: str
    name: str
    letters: str
    arguments: dict[str, Any]
    body: Mapping[str, Any] = field(default_factory=dict)
    json: bool = False
    query: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


def row(
    method: str,
    name: str,
    letters: str,
    /,
    body: Mapping[str, Any] | None = None,
    json: bool = False,
    query: str = "",
    **arguments: Any,
) -> Row:
    assert len(letters) == len(CAST), f"{name}: one letter for each of {CAST}"
    return Row(method, name, letters, arguments, body or {}, json, query)


_TOOL: dict[str, Any] = {"server": "crm", "name": "list_orders"}
_GRANT = {"subject": "server:crm", "holder": "team:sales", "reason": "r"}
_GRANTS = {"holders": ["team:sales"], "subjects": ["server:crm"], "reason": "r"}
_HOLD = {"title": "Case 12", "first": "2026-03", "last": "", "reason": "r"}
_NEW_HOLD = {"title": "Case 12", "first": "2026-03", "reason": "r"}
_CELL = {"cell": "give|team:sales|server:crm", "reason": "r"}
_SINK = {"name": "A", "form": "json", "begin": "start", "file": "a.jsonl"}
_SINK |= {"megabytes": "10", "hours": "24"}
_NEW_SINK = {"name": "A", "kind": "file", "options": {"file": "a.jsonl"}}
_TEAM = {"name": "A", "slug": "a", "cost_centre": "C"}
_ROLE = {"username": "mallory", "role": "admin"}
_NAMED = {"name": "A", "slug": "a"}
_QUOTA = {"metric": "runs", "window": "day", "limit": "1", "reason": "r"}
_LIMIT = {"limit": "2", "reason": "r"}
_PERSON = {"username": "zoe", "password": "long-and-odd-7"}
_PLACE = {"name": "E", "slug": "e", "position": "1"}
_RATE = {"month": "2026-10", "currency": "EUR", "rate": "1.1", "reason": "ECB"}
_WHY = {"reason": "r"}
_RULE = {"id": "yes", "effect": "deny", "mode": "enforce"}
_APPROVE = {"verdict": "approve", "reason": "r"}
_HAPPENED = {"resolution": "happened", "reason": "r"}
_GROUP: dict[str, Any] = {"slug": "directors", "name": "Directors", "people": ["dan"]}
_CHANNEL = {
    "name": "chat",
    "kind": "webhook",
    "url": "https://hooks.example.org/",
    "events": ["approval.requested"],
    "enabled": "on",
}
_LEVEL = {"level": "team", "reason": "r"}
_NEW_KEY = {
    "team": "sales",
    "service_account": "agent",
    "name": "n",
    "environment": "dev",
    "scopes": ["tools:*"],
}

TABLE = (
    # Health and session
    row("GET", "healthz", "+++++++"),
    row("GET", "readyz", "+++++++"),
    row("GET", "metrics", "+++++++"),
    row("GET", "sign_in", "+++++++"),
    row("POST", "sign_in", "+++++++", body={"username": "alice", "password": "x"}),
    row("POST", "sign_out", "S++++++"),
    # Overview, runs and playground
    row("GET", "overview", "S++++++"),
    row("GET", "runs", "S++++++"),
    row("GET", "run", "S4+++++", uid="@run"),
    row("POST", "run_cancel", "S4++33+", uid="@run"),
    row("GET", "unknown_outcomes", "S33+33+"),
    row("GET", "outcome_resolve", "S33+33+", pk="@unknown"),
    row("POST", "outcome_resolve", "S33+33+", pk="@unknown", body=_HAPPENED),
    row("GET", "approvals", "S33+3++"),
    row("GET", "approval", "S33+34+", uid="@approval"),
    row("POST", "approval_decide", "S33+34+", uid="@approval", body=_APPROVE),
    row("POST", "approvals_decide", "S33+3++",
        body={"approval": ["@approval"], **_APPROVE}),
    row("GET", "approval_figures", "S33+3++"),
    row("GET", "playground", "S+++33+"),
    row("POST", "playground", "S+++33+", body={"code": "return 1"}),
    row("GET", "playground_tools", "S+++33+"),
    row("GET", "playground_outcome", "S4++33+", uid="@run"),
    # Catalog
    row("GET", "servers", "S++++++"),
    row("GET", "server", "S++++++", name="crm"),
    row("GET", "server_add", "S33333+"),
    row("POST", "server_add", "S33333+", body={"name": "x"}),
    row("GET", "server_change", "S33333+", name="crm"),
    row("POST", "server_change", "S33333+", name="crm", body={"url": "http://x/mcp"}),
    row("POST", "server_sync", "S33333+", name="crm"),
    row("POST", "server_status", "S33333+", name="crm", body={"status": "disabled"}),
    row("GET", "tools", "S++++++"),
    row("GET", "tool", "S++++++", **_TOOL),
    row("POST", "tool_effect", "S33333+", body={"effect": "write"}, **_TOOL),
    row("POST", "tool_environments", "S33333+", body={"environments": []}, **_TOOL),
    row("POST", "tool_tags", "S33333+", body={"tags": "x"}, **_TOOL),
    row("POST", "tool_direct", "S33333+", body={"ways": "direct"}, **_TOOL),
    row("POST", "tool_approval", "S33333+", body={"needed": "yes"}, **_TOOL),
    row("POST", "tool_idempotency", "S33333+", body={"how": "meta"}, **_TOOL),
    row("POST", "tools_review", "S33333+", body={"act": "confirm", "tool": "@tool"}),
    row("POST", "grant_give", "S33333+", body=_GRANT),
    row("POST", "grant_take", "S33333+", body=_GRANT),
    # Access
    row("GET", "access", "S++++3+"),
    row("POST", "access", "S33333+", body=_CELL),
    row("GET", "access_reach", "S4+++3+", query="holder=team:sales"),
    row("GET", "access_callers", "S++++3+", **_TOOL),
    # Quotas
    row("GET", "quotas", "S++++3+"),
    row("GET", "quota_add", "S33333+"),
    row("POST", "quota_add", "S33333+", body=_QUOTA),
    row("GET", "quota", "S4+++3+", pk="@quota"),
    row("POST", "quota_change", "S33333+", pk="@quota", body=_LIMIT),
    row("POST", "quota_remove", "S33333+", pk="@quota", body=_WHY),
    # Rules
    row("GET", "explain", "S++++3+"),
    row("POST", "explain", "S++++3+"),
    row("GET", "rules", "S++++3+"),
    row("GET", "rules_yaml", "S++++3+"),
    row("GET", "rule", "S++++3+", rule="no"),
    row("GET", "rule_versions", "S++++3+"),
    row("GET", "rule_version", "S++++3+", number=1),
    row("POST", "version_revert", "S33333+", number=1, body=_WHY),
    row("POST", "rule_settings", "S33333+", body={"two_persons": "yes"}),
    row("GET", "rules_upload", "S33333+"),
    row("POST", "rules_upload", "S33333+", body={"name": "n", "yaml": "rules: []"}),
    row("POST", "condition_check", "S33333+", body={"when": "true"}),
    row("GET", "rule_suggestions", "S33333+"),
    row("POST", "draft_begin", "S33333+", body={"name": "n"}),
    row("GET", "draft", "S++++3+", uid="@draft"),
    row("GET", "draft_replay", "S++++3+", uid="@draft"),
    row("POST", "draft_replay", "S33333+", uid="@draft", body={"days": "1"}),
    row("POST", "draft_publish", "S33333+", uid="@draft", body=_WHY),
    row("POST", "draft_rebase", "S33333+", uid="@draft"),
    row("POST", "draft_discard", "S33333+", uid="@draft"),
    row("GET", "draft_rule_add", "S33333+", uid="@draft"),
    row("POST", "draft_rule_add", "S33333+", uid="@draft", body=_RULE),
    row("GET", "draft_rule", "S33333+", uid="@draft", rule="no"),
    row("POST", "draft_rule", "S33333+", uid="@draft", rule="no", body=_RULE),
    row("POST", "draft_rule_remove", "S33333+", uid="@draft", rule="no"),
    # Costs
    row("GET", "costs", "S++++++"),
    row("GET", "cost_movers", "S++++++"),
    row("GET", "prices", "S++++++"),
    row("GET", "rates", "S++++++"),
    row("GET", "rate_export", "S++++++"),
    row("POST", "rate_set", "S3333++", body=_RATE),
    row("GET", "platform_costs", "S++++++"),
    row("GET", "platform_cost_export", "S++++++"),
    row("POST", "platform_cost_set", "S3333++", body=_RATE),
    row("POST", "platform_cost_end", "S333344", pk=1, body={"last": "2026-11", **_WHY}),
    row("GET", "price_import", "S3333++"),
    row("POST", "price_import", "S3333++", body={"text": "sku"}),
    row("GET", "price_export", "S++++++"),
    row("GET", "unrated", "S++++++"),
    row("GET", "what_if", "S++++++"),
    row("POST", "what_if", "S++++++", body={"first": "2026-11-01"}),
    row("GET", "rerate", "S3333++"),
    row("POST", "rerate", "S3333++", body={"first": "2026-11-01"}),
    row("POST", "price_set", "S3333++", body={"sku": "sandbox/cpu", "amount": "1"}),
    # Settings
    row("GET", "teams", "S++++3+"),
    row("GET", "team_add", "S33333+"),
    row("POST", "team_add", "S33333+", body=_TEAM),
    row("GET", "team", "S4+++3+", slug="sales"),
    row("POST", "team_change", "S33333+", slug="sales", body=_TEAM),
    row("POST", "member_add", "S33333+", slug="sales", body=_ROLE),
    row("POST", "member_remove", "S33333+", slug="sales", pk="@membership"),
    row("POST", "project_add", "S33333+", slug="sales", body=_NAMED),
    row("POST", "account_add", "S33333+", slug="sales", body={"name": "a"}),
    row("GET", "people", "S33333+"),
    row("GET", "person_add", "S33333+"),
    row("POST", "person_add", "S33333+", body=_PERSON),
    row("POST", "person_active", "S33333+", pk="@person", body={"active": "no"}),
    row("POST", "person_reset", "S33333+", pk="@person"),
    row("GET", "person_password", "S33333+"),
    row("GET", "environments", "S++++3+"),
    row("POST", "environments", "S33333+", body=_PLACE),
    row("GET", "environment_sandbox", "S33333+", slug="dev"),
    row("POST", "environment_sandbox", "S33333+", slug="dev", body={"level": "team"}),
    row("GET", "team_sandbox", "S33333+", slug="sales"),
    row("POST", "team_sandbox", "S33333+", slug="sales", body={"level": "team"}),
    row("GET", "key_sandbox", "S33333+", pk="@key"),
    row("POST", "key_sandbox", "S33333+", pk="@key", body={"level": "team"}),
    row("POST", "gvisor_tool_add", "S33333+", body={"tool": "crm.*", **_WHY}),
    row("POST", "gvisor_tool_remove", "S33333+", pk="@gvisor_tool", body=_WHY),
    row("GET", "personal_keys", "S33+3++"),
    row("POST", "personal_keys", "S33+3++", body={"name": "n", "days": "5"}),
    row("GET", "personal_key_created", "S33+3++"),
    row("POST", "personal_key_revoke", "S33+344", pk="@personal"),
    row("GET", "keys", "S++++3+"),
    row("GET", "key_create", "S33333+"),
    row("POST", "key_create", "S33333+", body={"name": "n"}),
    row("GET", "key_created", "S33333+"),
    row("GET", "key_revoke", "S33333+", pk="@key"),
    row("POST", "key_revoke", "S33333+", pk="@key", body=_WHY),
    row("GET", "approver_groups", "S++++3+"),
    row("GET", "approver_group_add", "S33333+"),
    row("POST", "approver_group_add", "S33333+", body=_NAMED),
    row("GET", "approver_group", "S33333+", slug="board"),
    row("POST", "approver_group", "S33333+", slug="board", body=_NAMED),
    row("POST", "approver_group_remove", "S33333+", slug="board"),
    row("GET", "notifications", "S33333+"),
    row("GET", "notification_add", "S33333+"),
    row("POST", "notification_add", "S33333+", body=_CHANNEL),
    row("GET", "notification_secret", "S33333+"),
    row("GET", "notification_channel", "S33333+", pk="@channel"),
    row("POST", "notification_channel", "S33333+", pk="@channel", body=_CHANNEL),
    row("POST", "notification_rotate", "S33333+", pk="@channel"),
    row("POST", "notification_test", "S33333+", pk="@channel"),
    row("POST", "notification_remove", "S33333+", pk="@channel"),
    row("POST", "notification_again", "S33333+", pk="@message"),
    row("GET", "system", "S33333+"),
    # Audit
    row("GET", "audit", "S333+3+"),
    row("GET", "audit", "S333+3+", query="export=evidence&period=all"),
    row("GET", "verify", "S333+3+"),
    row("POST", "verify_now", "S333+3+"),
    row("GET", "event", "S333+3+", uid="@event"),
    row("POST", "view_save", "S333+3+", body={"name": "n", "query": "q=a"}),
    row("POST", "view_remove", "S333+3+", pk="@view"),
    row("GET", "audit_sinks", "S333+3+"),
    row("GET", "audit_sink_choose", "S33333+"),
    row("GET", "audit_sink_add", "S33333+", kind="file"),
    row("POST", "audit_sink_add", "S33333+", body=_SINK, kind="file"),
    row("GET", "audit_sink", "S333+3+", pk="@sink"),
    row("GET", "audit_sink_change", "S33333+", pk="@sink"),
    row("POST", "audit_sink_change", "S33333+", body=_SINK, pk="@sink"),
    row("POST", "audit_sink_test", "S33333+", pk="@sink"),
    row("GET", "audit_sink_pause", "S33333+", pk="@sink"),
    row("POST", "audit_sink_pause", "S33333+", body=_WHY, pk="@sink"),
    row("POST", "audit_sink_resume", "S33333+", pk="@sink"),
    row("GET", "audit_sink_remove", "S33333+", pk="@sink"),
    row("POST", "audit_sink_remove", "S33333+", body=_WHY, pk="@sink"),
    row("POST", "audit_sink_resend", "S33333+", pk="@sink"),
    row("GET", "retention", "S333+3+"),
    row("GET", "hold_add", "S333+3+"),
    row("POST", "hold_add", "S333+3+", body=_HOLD),
    row("GET", "hold_lift", "S333+3+", pk="@hold"),
    row("POST", "hold_lift", "S333+3+", body=_WHY, pk="@hold"),
    row("GET", "audit_reports", "S333+3+"),
    row("GET", "audit_report", "S333+3+", slug="denied"),
    row("POST", "access_review", "S333+3+", body={"row": ["@grant"], "reason": "r"}),
    # REST API, as people with a session
    row("GET", "api_schema", "S++++++"),
    row("GET", "api_servers", "S++++++"),
    row("GET", "api_rates", "S++++++"),
    row("GET", "api_platform_costs", "S++++++"),
    row("GET", "api_tools", "S++++++"),
    row("GET", "api_tool", "S++++++", **_TOOL),
    row("GET", "api_runs", "S++++++"),
    row("POST", "api_runs", "SKKK33K", body={"code": "return 1"}, json=True),
    row("GET", "api_run", "S4+++++", uid="@run"),
    row("POST", "api_run_cancel", "S4++33+", uid="@run", json=True),
    row("POST", "api_usage", "S3333KK", body={"items": []}, json=True),
    row("POST", "api_otlp_traces", "S3333KK", body={}, json=True),
    row("GET", "api_grants", "S++++3+"),
    row("GET", "api_reach", "S4+++3+", query="holder=team:sales"),
    row("GET", "api_callers", "S++++3+", **_TOOL),
    row("PATCH", "api_tool_settings", "S33333+", body={"direct": True}, json=True,
        **_TOOL),
    row("POST", "api_grant_give", "S33333+", body=_GRANTS, json=True),
    row("POST", "api_grant_take", "S33333+", body=_GRANTS, json=True),
    row("GET", "api_approvals", "S33+3++"),
    row("GET", "api_approval", "S33+34+", uid="@approval"),
    row("POST", "api_approval_decide", "S33+34+", uid="@approval", json=True,
        body={"approve": True, "reason": "r"}),
    row("POST", "api_approvals_decide", "S33+34+", json=True,
        body={"approvals": ["@approval"], "approve": True, "reason": "r"}),
    row("GET", "api_approver_groups", "S++++3+"),
    row("POST", "api_approver_groups", "S33333+", body=_GROUP, json=True),
    row("GET", "api_approver_group", "S++++3+", slug="board"),
    row("POST", "api_approver_group", "S33333+", slug="board", body=_GROUP, json=True),
    row("POST", "api_approver_group_remove", "S33333+", slug="board"),
    row("GET", "api_channels", "S33333+"),
    row("POST", "api_channels", "S33333+", body=_CHANNEL, json=True),
    row("GET", "api_channel", "S33333+", pk="@channel"),
    row("POST", "api_channel", "S33333+", pk="@channel", body=_CHANNEL, json=True),
    row("POST", "api_channel_remove", "S33333+", pk="@channel"),
    row("GET", "api_messages", "S33333+"),
    row("POST", "api_message_again", "S33333+", pk="@message"),
    row("GET", "api_outcomes", "S33+33+"),
    row("POST", "api_outcome_resolve", "S33+33+", pk="@unknown", json=True,
        body=_HAPPENED),
    row("GET", "api_teams", "S++++3+"),
    row("GET", "api_keys", "S++++3+"),
    row("POST", "api_keys", "S33333+", body=_NEW_KEY, json=True),
    row("POST", "api_key_revoke", "S33333+", pk="@key", body=_WHY, json=True),
    row("GET", "api_key_sandbox", "S33333+", pk="@key"),
    row("PUT", "api_key_sandbox", "S33333+", pk="@key", body=_LEVEL, json=True),
    row("GET", "api_team_sandbox", "S33333+", slug="sales"),
    row("PUT", "api_team_sandbox", "S33333+", slug="sales", body=_LEVEL, json=True),
    row("GET", "api_environment_sandbox", "S33333+", slug="dev"),
    row("PUT", "api_environment_sandbox", "S33333+", slug="dev", body=_LEVEL,
        json=True),
    row("GET", "api_gvisor_tools", "S33333+"),
    row("POST", "api_gvisor_tools", "S33333+", body={"tool": "crm.*", **_WHY},
        json=True),
    row("POST", "api_gvisor_tool_remove", "S33333+", pk="@gvisor_tool", body=_WHY,
        json=True),
    row("GET", "api_rules", "S++++3+"),
    row("GET", "api_rules_export", "S++++3+"),
    row("POST", "api_rules_check", "S++++3+", body={"rules": []}, json=True),
    row("GET", "api_policy_settings", "S++++3+"),
    row("PUT", "api_policy_settings", "S33333+", json=True,
        body={"two_person_publish": True}),
    row("GET", "api_versions", "S++++3+"),
    row("GET", "api_version", "S++++3+", number=1),
    row("GET", "api_version_diff", "S++++3+", number=1),
    row("POST", "api_version_revert", "S33333+", number=0, body=_WHY, json=True),
    row("GET", "api_drafts", "S++++3+"),
    row("POST", "api_drafts", "S33333+", body={"name": "n"}, json=True),
    row("GET", "api_draft", "S++++3+", uid="@draft"),
    row("DELETE", "api_draft", "S33333+", uid="@draft", json=True),
    row("PUT", "api_draft_rules", "S33333+", uid="@draft", json=True,
        body={"rules": []}),
    row("PUT", "api_draft_rule", "S33333+", uid="@draft", rule="a", json=True,
        body={"rule": {"effect": "deny"}}),
    row("DELETE", "api_draft_rule", "S33333+", uid="@draft", rule="no", json=True),
    row("GET", "api_draft_diff", "S++++3+", uid="@draft"),
    row("POST", "api_draft_propose", "S33333+", uid="@draft", body=_WHY, json=True),
    row("POST", "api_draft_publish", "S33333+", uid="@draft", body=_WHY, json=True),
    row("POST", "api_draft_rebase", "S33333+", uid="@draft", json=True),
    row("GET", "api_months", "S333+3+"),
    row("GET", "api_holds", "S333+3+"),
    row("POST", "api_holds", "S333+3+", body=_NEW_HOLD, json=True),
    row("POST", "api_hold_lift", "S333+3+", body=_WHY, json=True, pk="@hold"),
    row("GET", "api_audit_sinks", "S333+3+"),
    row("POST", "api_audit_sinks", "S33333+", body=_NEW_SINK, json=True),
    row("GET", "api_audit_sink", "S333+3+", pk="@sink"),
    row("POST", "api_audit_sink", "S33333+", body=_NEW_SINK, json=True, pk="@sink"),
    row("POST", "api_audit_sink_test", "S33333+", json=True, pk="@sink"),
    row("POST", "api_audit_sink_pause", "S33333+", body=_WHY, json=True, pk="@sink"),
    row("POST", "api_audit_sink_resume", "S33333+", json=True, pk="@sink"),
    row("POST", "api_audit_sink_remove", "S33333+", body=_WHY, json=True, pk="@sink"),
    row("POST", "api_audit_sink_resend", "S33333+", json=True, pk="@sink"),
    row("GET", "api_audit_dead_letters", "S333+3+", pk="@sink"),
    row("GET", "api_quotas", "S++++3+"),
    row("POST", "api_quotas", "S33333+", body=_QUOTA, json=True),
    row("GET", "api_quota", "S4+++3+", pk="@quota"),
    row("PATCH", "api_quota", "S33333+", pk="@quota", body=_LIMIT, json=True),
    row("POST", "api_quota_remove", "S33333+", pk="@quota", body=_WHY, json=True),
    row("POST", "api_explain", "S4+++3+", json=True,
        body={"tool": "crm.list_orders", "team": "sales", "environment": "dev"}),
    row("GET", "api_rule_hits", "S++++3+"),
    row("POST", "api_draft_replay", "S33333+", uid="@draft", json=True),
    row("GET", "api_replay", "S33333+", uid="@replay"),
    row("GET", "api_events", "S333+3+"),
    row("GET", "api_event", "S333+3+", uid="@event"),
    row("GET", "api_report_access", "S333+3+"),
    row("GET", "api_report_changes", "S333+3+"),
    row("GET", "api_report_denied", "S333+3+"),
    row("GET", "api_report_approvals", "S333+3+"),
    row("GET", "api_report_outcomes", "S333+3+"),
    row("GET", "api_report_keys", "S333+3+"),
    row("GET", "api_event_proof", "S333+3+", uid="@event"),
    row("GET", "api_checkpoints", "S333+3+"),
    row("GET", "api_consistency", "S333+3+", query="first=1&second=2"),
    row("GET", "api_evidence", "S333+3+"),
)  # fmt: skip
