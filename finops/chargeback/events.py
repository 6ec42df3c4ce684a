"""Audit events of chargeback."""

from audit.registry import kind

CENTRE_SET = kind("cost_centre.set", "{actor} set cost centre {target}: {reason}")
ALLOCATION_SET = kind(
    "allocation.set", "{actor} set allocation rule {target} from {month} on: {reason}"
)
DRAFTS_BUILT = kind(
    "chargeback.built",
    "{actor} built {statements} statements of {target}: {total}",
    "cut",
    "changed",
)
REVIEW_STARTED = kind("chargeback.review_started", "{actor} put {target} up for review")
REVIEW_ENDED = kind(
    "chargeback.review_ended", "{actor} took {target} back from review: {reason}"
)
STATEMENT_ACCEPTED = kind(
    "statement.accepted", "{actor} accepted statement {target}: {total}", "content"
)
STATEMENT_CLOSED = kind(
    "statement.closed",
    "{actor} closed statement {target}: {total}",
    "digest",
    "previous_digest",
    "position",
)
STATEMENT_ISSUED = kind(
    "statement.issued", "{actor} issued statement {target}: {total}", "digest"
)
PERIOD_CLOSED = kind(
    "chargeback.closed",
    "{actor} closed {target}: {statements} statements, {total}",
    "cut",
    "unrated",
    "open_disputes",
    "digest",
    "reason",
)
PERIOD_ISSUED = kind(
    "chargeback.issued", "{actor} issued {statements} statements of {target}"
)
ADJUSTMENT_ADDED = kind(
    "adjustment.added",
    "{actor} put a {kind} of {amount} on {target}: {reason}",
    "month",
    "dispute",
)
ADJUSTMENT_WITHDRAWN = kind(
    "adjustment.withdrawn",
    "{actor} withdrew a {kind} of {amount} on {target}: {reason}",
    "month",
)
DISPUTE_OPENED = kind(
    "dispute.opened", "{actor} disputed {line} of {target}: {reason}", "key"
)
DISPUTE_COMMENTED = kind(
    "dispute.commented", "{actor} wrote in the dispute of {target}"
)
DISPUTE_RESOLVED = kind(
    "dispute.resolved",
    "The dispute of {target} was {state} by {actor}: {reason}",
    "amount",
)
DISPUTE_REFUSED = kind(
    "dispute.refused", "{actor} may not resolve the dispute of {target}: {reasons}"
)
CHARGEBACK_EXPORTED = kind(
    "chargeback.exported", "{actor} exported {target} as {form}", "state", "statements"
)
