"""Which kinds of events are privileged changes: all but those named here.

A kind that is new counts as privileged until somebody says that it is everyday, so the
report can miss none.
"""

from audit.registry import known

# Work, decisions with a report of their own, refusals, and what nobody decides.
EVERYDAY = frozenset(
    {
        "access.denied",
        "approval.answer_refused",
        "approval.asked",
        "approval.decided",
        "approval.escalated",
        "approval.expired",
        "approval.refused",
        "approval.used",
        "approval.voted",
        "audit.drop_refused",
        "audit.evidence",
        "audit.exported",
        "audit.verification_asked",
        "audit.verified",
        "audit.view_removed",
        "audit.view_saved",
        "call.ended",
        "call.intended",
        "call.looked_up",
        "call.refused",
        "call.resolved",
        "chargeback.built",
        "chargeback.exported",
        "costs.exported",
        "dispute.commented",
        "dispute.opened",
        "dispute.refused",
        "exchange_rates.exported",
        "key.refused",
        "list.exported",
        "notification.again",
        "notification.dead",
        "notification_channel.tested",
        "platform_costs.exported",
        "policy.draft_changed",
        "policy.draft_created",
        "policy.draft_discarded",
        "policy.draft_proposed",
        "policy.draft_rebased",
        "policy.publish_refused",
        "policy.replayed",
        "run.cancelled",
        "run.ended",
        "run.held",
        "run.hidden",
        "run.refused",
        "run.resumed",
        "run.submitted",
        "scope.refused",
        "server.sync_failed",
        "server.synced",
        "session.sign_in_failed",
        "session.sign_in_throttled",
        "session.signed_in",
        "session.signed_out",
        "sink.failing",
        "sink.recovered",
        "sink.refused_events",
        "sink.resent",
        "sink.tested",
        "statement.accepted",
        "statement.closed",
        "statement.issued",
        "tool.added",
        "tool.changed",
        "tool.removed",
        "usage.refused",
        "usage.reported",
        "task.outcome_stated",
    }
)
AREAS = {
    "access": "Grants",
    "keys": "Keys",
    "people": "People and teams",
    "rules": "Rules",
    "limits": "Quotas and sandboxes",
    "approvals": "Approvers and messages",
    "catalog": "Catalog",
    "costs": "Prices, budgets and chargeback",
    "audit": "Audit trail",
    "other": "Other",
}
_AREA_OF = {
    "grant": "access",
    "access": "access",
    "key": "keys",
    "personal_key": "keys",
    "service_account": "people",
    "team": "people",
    "member": "people",
    "user": "people",
    "project": "people",
    "environment": "people",
    "policy": "rules",
    "quota": "limits",
    "sandbox_policy": "limits",
    "approver_group": "approvals",
    "notification_channel": "approvals",
    "server": "catalog",
    "tool": "catalog",
    "price": "costs",
    "prices": "costs",
    "exchange_rate": "costs",
    "usage": "costs",
    "budget": "costs",
    "cost_centre": "costs",
    "allocation": "costs",
    "chargeback": "costs",
    "adjustment": "costs",
    "dispute": "costs",
    "audit": "audit",
    "sink": "audit",
    "retention": "audit",
    "results": "audit",
}


def privileged() -> frozenset[str]:
    """Names of the kinds of events that are privileged changes."""
    return frozenset(known()) - EVERYDAY


def area_of(name: str) -> str:
    """The area of a kind of event, by the first word of its name."""
    return _AREA_OF.get(name.partition(".")[0], "other")
