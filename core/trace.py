"""The trace a request belongs to, as W3C Trace Context names it."""

import re

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_VERSION_0 = "00-"


def trace_id_of(traceparent: str) -> str:
    """The trace id of a ``traceparent`` header; empty where it is not well-formed.

    Later versions may append fields after a dash (W3C Trace Context, section 4.3).
    """
    found = _TRACEPARENT.match(traceparent)
    if found is None:
        return ""
    rest = traceparent[found.end() :]
    if rest and (traceparent.startswith(_VERSION_0) or not rest.startswith("-")):
        return ""
    return found[1]
