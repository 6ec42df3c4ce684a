"""Audit events of the trail itself, and of refusals."""

from audit.registry import kind

ACCESS_DENIED = kind("access.denied", "{actor} was refused {path}")
EXPORTED = kind("audit.exported", "{actor} exported audit events as {form}")
LIST_EXPORTED = kind("list.exported", "{actor} exported {target} as {form}")
RESTORED = kind("audit.restored", "A restore of the trail was accepted: {reason}")
VERIFIED = kind("audit.verified", "{actor} verified the trail: {verdict}")
EVIDENCE = kind("audit.evidence", "{actor} downloaded evidence on {events} events")
