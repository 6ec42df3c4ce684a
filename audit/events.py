"""Audit events of the trail itself, and of refusals."""

from audit.registry import kind

ACCESS_DENIED = kind("access.denied", "{actor} was refused {path}")
EXPORTED = kind("audit.exported", "{actor} exported audit events as {form}")
LIST_EXPORTED = kind("list.exported", "{actor} exported {target} as {form}")
