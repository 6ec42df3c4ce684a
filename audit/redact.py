"""Takes secrets out of what the trail stores."""

import re
from functools import lru_cache
from typing import Any

HIDDEN = "[redacted]"
_SECRET_NAMES = re.compile(
    r"(pass(word|wd|phrase)?|secret|token|api[-_]?key|authorization|cookie|"
    r"credential|private[-_]?key|session)",
    re.IGNORECASE,
)
SECRET_VALUES = re.compile(
    r"(tg_[0-9a-z]{8}_[0-9A-Za-z_-]{20,}|Bearer\s+\S{8,}|-----BEGIN [A-Z ]+-----"
    r"|AKIA[0-9A-Z]{16}|gh[pousr]_[0-9A-Za-z]{20,}|sk-[0-9A-Za-z_-]{20,}"
    r"|xox[abprs]-[0-9A-Za-z-]{10,}|eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\S*)"
)
# No secret that is found by its look is shorter.
_SHORTEST_FOUND = 15
_LONGEST_TEXT = 2_000
# How much text beyond the cut is looked at for a secret that straddles it.
_MARGIN = 500
_MOST_ITEMS = 100
_SHORTEST_SECRET = 4
_SHORT_NAME = 64
_DEEPEST = 12


def redact(value: Any, *, depth: int = 0) -> Any:
    """A copy without secrets: by the name of the field, and by the look of the text.

    What is very long, wide or deep is cut and says so.
    """
    if depth > _DEEPEST:
        return "[too deep]"
    if isinstance(value, dict):
        kept = {
            _plain(str(key)[:200]): HIDDEN
            if names_a_secret(str(key)) and not isinstance(item, int | float | None)
            else redact(item, depth=depth + 1)
            for key, item in list(value.items())[:_MOST_ITEMS]
        }
        if len(value) > _MOST_ITEMS:
            kept["…"] = f"{len(value) - _MOST_ITEMS} more"
        return kept
    if isinstance(value, list | tuple):
        items = [redact(item, depth=depth + 1) for item in value[:_MOST_ITEMS]]
        if len(value) > _MOST_ITEMS:
            items.append(f"… {len(value) - _MOST_ITEMS} more")
        return items
    if isinstance(value, str):
        return redact_text(value)
    return value


def redact_text(text: str) -> str:
    """The text without anything that looks like a secret, cut at 2,000 characters.

    NUL and lone surrogates, which PostgreSQL refuses, become replacement marks.
    """
    if len(text) < _SHORTEST_FOUND:
        return _plain(text)
    near = text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT + _MARGIN]
    # Secrets go first: half a secret at the cut would no longer look like one.
    kept = SECRET_VALUES.sub(HIDDEN, _plain(near))
    if len(text) <= _LONGEST_TEXT:
        return kept
    return kept[:_LONGEST_TEXT] + "…"


def names_a_secret(key: str) -> bool:
    if len(key) <= _SHORT_NAME:
        return _shortnames_a_secret(key)
    return _SECRET_NAMES.search(key) is not None


@lru_cache(4_096)
def _shortnames_a_secret(key: str) -> bool:
    return _SECRET_NAMES.search(key) is not None


def _plain(text: str) -> str:
    if text.isascii() and "\x00" not in text:
        return text
    whole = text.encode("utf-8", "replace").decode()
    return whole.replace("\x00", "\N{REPLACEMENT CHARACTER}")


def secrets_in(value: Any, *, under_a_name: bool = False) -> set[str]:
    """Texts that stand under the name of a secret, for ``hide``.

    Very short ones are left out: hiding them would tear words apart.
    """
    if isinstance(value, str):
        return {value} if under_a_name and len(value) >= _SHORTEST_SECRET else set()
    if isinstance(value, dict):
        parts = [
            secrets_in(item, under_a_name=under_a_name or names_a_secret(str(key)))
            for key, item in value.items()
        ]
    elif isinstance(value, list | tuple):
        parts = [secrets_in(item, under_a_name=under_a_name) for item in value]
    else:
        return set()
    return set().union(*parts)


def hide(text: str, secrets: set[str]) -> str:
    """The text without any of these secrets."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
