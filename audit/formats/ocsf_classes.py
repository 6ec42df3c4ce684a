"""Which OCSF class and activity each kind of event is."""

from dataclasses import dataclass

INFORMATIONAL, LOW, MEDIUM, HIGH, CRITICAL = 1, 2, 3, 4, 5
OTHER = 99


@dataclass(frozen=True, slots=True)
class Mapping:
    """A class, an activity in it, and how severe it is where nothing is refused."""

    class_uid: int
    activity: int
    severity: int = INFORMATIONAL


FINDING, ACCOUNT, LOGON, SESSION = 2004, 3001, 3002, 3003
ENTITY, GROUP = 3004, 3006
LIFECYCLE, API, FAULT = 6002, 6003, 6008

ACTIVITIES: dict[int, dict[int, str]] = {
    FINDING: {1: "Create", 2: "Update", 3: "Close"},
    ACCOUNT: {1: "Create", 2: "Enable", 4: "Password Reset", 5: "Disable", 6: "Delete"},
    LOGON: {1: "Logon", 2: "Logoff"},
    SESSION: {1: "Assign Privileges"},
    ENTITY: {1: "Create", 2: "Read", 3: "Update", 4: "Delete", 12: "Suspend"}
    | {8: "Enable", 9: "Disable", 10: "Activate", 11: "Deactivate", 13: "Resume"},
    GROUP: {1: "Assign Privileges", 2: "Revoke Privileges"}
    | {3: "Add User", 4: "Remove User", 5: "Delete", 6: "Create"},
    LIFECYCLE: {1: "Install", 2: "Remove", 3: "Start", 4: "Stop", 8: "Update"},
    API: {1: "Create", 2: "Read", 3: "Update", 4: "Delete"},
    FAULT: {1: "General Error"},
}
CLASS_NAMES = {
    FINDING: "Detection Finding",
    ACCOUNT: "Account Change",
    LOGON: "Authentication",
    SESSION: "Authorize Session",
    ENTITY: "Entity Management",
    GROUP: "Group Management",
    LIFECYCLE: "Application Lifecycle",
    API: "API Activity",
    FAULT: "Application Error",
}
_CREATE, _READ, _UPDATE, _DELETE = 1, 2, 3, 4
UNKNOWN_KIND = Mapping(API, OTHER)


def _entities(kind: str, **activities: int) -> dict[str, Mapping]:
    return {f"{kind}.{what}": Mapping(ENTITY, n) for what, n in activities.items()}


MAPPINGS: dict[str, Mapping] = {
    # People, keys and sessions
    "session.signed_in": Mapping(LOGON, 1),
    "session.sign_in_failed": Mapping(LOGON, 1, LOW),
    "session.sign_in_throttled": Mapping(LOGON, 1, MEDIUM),
    "session.signed_out": Mapping(LOGON, 2),
    "key.refused": Mapping(LOGON, 1, LOW),
    "user.created": Mapping(ACCOUNT, 1),
    "user.deactivated": Mapping(ACCOUNT, 5),
    "user.reactivated": Mapping(ACCOUNT, 2),
    "user.password_reset": Mapping(ACCOUNT, 4),
    "service_account.created": Mapping(ACCOUNT, 1),
    **_entities("key", created=_CREATE, revoked=_DELETE),
    **_entities("personal_key", created=_CREATE, revoked=_DELETE),
    # Groups: teams, what they may use, who approves
    "team.created": Mapping(GROUP, 6),
    "team.changed": Mapping(GROUP, OTHER),
    "member.added": Mapping(GROUP, 3),
    "member.removed": Mapping(GROUP, 4),
    "grant.given": Mapping(GROUP, 1),
    "grant.taken": Mapping(GROUP, 2),
    "grant.reviewed": Mapping(GROUP, OTHER),
    "approver_group.created": Mapping(GROUP, 6),
    "approver_group.changed": Mapping(GROUP, OTHER),
    "approver_group.removed": Mapping(GROUP, 5),
    # One exact call that people allow a run to make
    "approval.asked": Mapping(SESSION, OTHER),
    "approval.voted": Mapping(SESSION, OTHER),
    "approval.escalated": Mapping(SESSION, OTHER),
    "approval.decided": Mapping(SESSION, 1),
    "approval.refused": Mapping(SESSION, OTHER, LOW),
    "approval.answer_refused": Mapping(SESSION, OTHER, LOW),
    "approval.expired": Mapping(SESSION, OTHER),
    "approval.used": Mapping(SESSION, OTHER),
    # Settings
    **_entities("project", created=_CREATE),
    **_entities("environment", created=_CREATE),
    **_entities("quota", set=_UPDATE, removed=_DELETE),
    **_entities("budget", set=_UPDATE, removed=_DELETE, alerted=OTHER),
    **_entities("price", set=_UPDATE, ended=_UPDATE),
    **_entities("prices", brought_in=_UPDATE),
    **_entities("exchange_rate", set=_UPDATE),
    **_entities("annotation", added=_CREATE, removed=_DELETE),
    **_entities("report_view", saved=_UPDATE, removed=_DELETE),
    **_entities(
        "report_schedule",
        created=_CREATE,
        removed=_DELETE,
        paused=12,
        resumed=13,
        unsubscribed=_UPDATE,
    ),
    "report.sent": Mapping(API, _READ),
    "report.dead": Mapping(FAULT, 1, LOW),
    **_entities("usage", rerated=_UPDATE),
    **_entities("cost_centre", set=_UPDATE),
    **_entities("allocation", set=_UPDATE),
    **_entities("chargeback", built=_UPDATE, review_started=_UPDATE),
    **_entities("chargeback", review_ended=_UPDATE, closed=_UPDATE, issued=_UPDATE),
    **_entities("statement", accepted=_UPDATE, closed=_UPDATE, issued=_UPDATE),
    **_entities("adjustment", added=_CREATE, withdrawn=_DELETE),
    **_entities("dispute", opened=_CREATE, commented=_UPDATE, resolved=_UPDATE),
    "dispute.refused": Mapping(ENTITY, _UPDATE, LOW),
    **_entities("sandbox_policy", set=_UPDATE, removed=_DELETE),
    **_entities(
        "notification_channel",
        created=_CREATE,
        changed=_UPDATE,
        rotated=_UPDATE,
        removed=_DELETE,
        tested=OTHER,
    ),
    **_entities("notification", again=OTHER),
    "notification.dead": Mapping(FAULT, 1, MEDIUM),
    **_entities(
        "policy",
        draft_created=_CREATE,
        draft_changed=_UPDATE,
        draft_rebased=_UPDATE,
        draft_proposed=_UPDATE,
        draft_discarded=_DELETE,
        published=10,
        publish_refused=10,
        two_persons_set=_UPDATE,
        replayed=_READ,
    ),
    # The catalog
    "server.added": Mapping(LIFECYCLE, 1),
    "server.changed": Mapping(LIFECYCLE, 8),
    "server.status": Mapping(LIFECYCLE, 8),
    "server.synced": Mapping(LIFECYCLE, 8),
    "server.sync_failed": Mapping(FAULT, 1, LOW),
    "tool.added": Mapping(LIFECYCLE, 1),
    "tool.changed": Mapping(LIFECYCLE, 8),
    "tool.removed": Mapping(LIFECYCLE, 2),
    "tool.reviewed": Mapping(LIFECYCLE, 8),
    # Runs and calls
    "run.submitted": Mapping(API, _CREATE),
    "run.refused": Mapping(API, _CREATE, LOW),
    "run.ended": Mapping(API, _UPDATE),
    "run.cancelled": Mapping(API, _DELETE),
    "run.hidden": Mapping(API, _READ, LOW),
    "run.held": Mapping(API, _UPDATE),
    "run.resumed": Mapping(API, _UPDATE),
    "call.intended": Mapping(API, OTHER),
    "call.ended": Mapping(API, OTHER),
    "call.refused": Mapping(API, OTHER, LOW),
    "call.looked_up": Mapping(API, _READ),
    "call.resolved": Mapping(API, _UPDATE),
    "usage.reported": Mapping(API, _CREATE),
    "usage.unrated": Mapping(API, OTHER),
    "task.outcome_stated": Mapping(API, _UPDATE),
    "model.asked": Mapping(API, _CREATE),
    "model.answered": Mapping(API, _UPDATE),
    "model.refused": Mapping(API, _CREATE, LOW),
    "model_server.added": Mapping(LIFECYCLE, 1),
    "model_server.changed": Mapping(LIFECYCLE, 8),
    "model_server.status": Mapping(LIFECYCLE, 8),
    "model_server.tested": Mapping(LIFECYCLE, OTHER),
    "usage.refused": Mapping(API, _CREATE, LOW),
    "scope.refused": Mapping(API, OTHER, LOW),
    "access.denied": Mapping(API, OTHER, LOW),
    "results.forgotten": Mapping(API, _DELETE),
    # The trail's own sinks
    **_entities(
        "sink",
        created=_CREATE,
        changed=_UPDATE,
        paused=12,
        resumed=13,
        removed=_DELETE,
        tested=OTHER,
        resent=OTHER,
    ),
    "sink.failing": Mapping(FAULT, 1, HIGH),
    "sink.recovered": Mapping(FAULT, OTHER),
    "sink.refused_events": Mapping(FAULT, 1, HIGH),
    # Reading it all
    "audit.exported": Mapping(API, _READ),
    "audit.evidence": Mapping(API, _READ),
    "audit.verified": Mapping(API, _READ),
    "audit.hold_set": Mapping(API, OTHER),
    "audit.hold_lifted": Mapping(API, OTHER),
    "audit.month_exported": Mapping(API, _READ),
    "audit.drop_refused": Mapping(API, OTHER),
    "audit.month_dropped": Mapping(LIFECYCLE, OTHER, HIGH),
    "audit.verification_asked": Mapping(API, _READ),
    "audit.view_saved": Mapping(ENTITY, _UPDATE),
    "audit.view_removed": Mapping(ENTITY, _DELETE),
    "audit.restored": Mapping(LIFECYCLE, OTHER, HIGH),
    "list.exported": Mapping(API, _READ),
    "chargeback.exported": Mapping(API, _READ),
    "costs.exported": Mapping(API, _READ),
    "exchange_rates.exported": Mapping(API, _READ),
    "platform_costs.exported": Mapping(API, _READ),
    "prices.exported": Mapping(API, _READ),
    "rerating.exported": Mapping(API, _READ),
}
# A verification that found something is a finding of its own.
FOUND = Mapping(FINDING, 1, CRITICAL)
# What a call does, where the event says it.
EFFECTS = {"read": _READ, "idempotent_write": _UPDATE, "write": _UPDATE}
