"""Names of tools that may end in a star."""

import re

from core.errors import Invalid

_PATTERN = re.compile(r"[a-z0-9_-]+\.(?:\*|[A-Za-z0-9_.-]+\*?)")


def check_pattern(text: str) -> None:
    """Raise Invalid unless it is `server.tool`, `server.prefix*` or `server.*`."""
    if not _PATTERN.fullmatch(text):
        raise Invalid(
            f"{text!r} names no tools: write server.tool, or server.* for all."
        )
