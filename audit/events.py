"""Audit events of the trail itself, and of refusals."""

from audit.registry import kind

ACCESS_DENIED = kind("access.denied", "{actor} was refused {path}", "method")
EXPORTED = kind(
    "audit.exported", "{actor} exported audit events as {form}", "filters", "columns"
)
LIST_EXPORTED = kind(
    "list.exported", "{actor} exported {target} as {form}", "filters", "columns"
)
RESTORED = kind(
    "audit.restored",
    "A restore of the trail was accepted: {reason}",
    "size",
    "signed_before",
)
VERIFIED = kind(
    "audit.verified",
    "{actor} verified the trail: {verdict}",
    *("kind", "size", "integrity", "completeness", "anchoring", "findings"),
)
VERIFICATION_ASKED = kind(
    "audit.verification_asked", "{actor} asked for a verification of the whole trail"
)
EVIDENCE = kind(
    "audit.evidence", "{actor} downloaded evidence on {events} events", "filters"
)
SINK_CREATED = kind("sink.created", "{actor} added audit sink {target}")
SINK_CHANGED = kind("sink.changed", "{actor} changed audit sink {target}", "renewed")
SINK_PAUSED = kind(
    "sink.paused", "{actor} paused audit sink {target}: {reason}", "from_index"
)
SINK_RESUMED = kind("sink.resumed", "{actor} resumed audit sink {target}")
SINK_REMOVED = kind(
    "sink.removed",
    "{actor} removed audit sink {target}: {reason}",
    "delivered_to_index",
)
SINK_TESTED = kind(
    "sink.tested", "{actor} tested audit sink {target}: {outcome}", "event"
)
SINK_FAILING = kind("sink.failing", "Audit sink {target} takes nothing: {error}")
SINK_RECOVERED = kind("sink.recovered", "Audit sink {target} takes events again")
SINK_REFUSED = kind(
    "sink.refused_events",
    "Audit sink {target} refused events, which are kept: {error}",
    "letters",
)
LETTERS_RESENT = kind(
    "sink.resent", "{actor} had {letters} dead letters of {target} sent again"
)
VIEW_SAVED = kind("audit.view_saved", "{actor} saved the view {target} of the trail")
VIEW_REMOVED = kind("audit.view_removed", "{actor} removed the view {target}")
HOLD_SET = kind(
    "audit.hold_set", "{actor} put {target} under a legal hold: {reason}", "from", "to"
)
HOLD_LIFTED = kind(
    "audit.hold_lifted", "{actor} lifted the legal hold {target}: {reason}"
)
MONTH_EXPORTED = kind(
    "audit.month_exported",
    "{actor} exported the {events} events of {target}",
    "file",
    "sha256",
)
MONTH_DROPPED = kind(
    "audit.month_dropped",
    "{actor} dropped the {events} events of {target}: {reason}",
    "export_sha256",
    "leaves",
)
DROP_REFUSED = kind("audit.drop_refused", "{target} was not dropped: {reasons}")
