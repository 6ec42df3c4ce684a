"""Keeps the secrets of a server's configuration out of every message."""

from collections.abc import Iterable
from urllib.parse import parse_qsl, unquote, urlsplit

from gateway.connectors.api import ServerSpec

REDACTED = "[redacted]"
MAX_MESSAGE = 2_000
# Shorter values ("1", "on") are no secrets, and would tear words apart.
_SHORTEST_SECRET = 4


class Redactor:
    """Replaces header values, environment values and URL credentials in a text."""

    def __init__(self, spec: ServerSpec) -> None:
        found = {s for s in _secrets(spec) if len(s) >= _SHORTEST_SECRET}
        self._secrets = sorted(found, key=len, reverse=True)

    def __call__(self, text: str, *, limit: int = MAX_MESSAGE) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        text = "".join(c if c.isprintable() or c in "\n\t" else " " for c in text)
        return text if len(text) <= limit else f"{text[: limit - 1]}…"


def public_url(url: str) -> str:
    """The URL without credentials, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _secrets(spec: ServerSpec) -> Iterable[str]:
    for value in spec.headers.values():
        yield value
        # `Bearer abc`: the credential alone is a secret as well.
        yield value.strip().rpartition(" ")[2]
    yield from spec.env.values()
    if not spec.url:
        return
    parts = urlsplit(spec.url)
    for part in (parts.username, parts.password):
        if part:
            yield part
            yield unquote(part)
    for _, value in parse_qsl(parts.query):
        yield value
