"""Canonical JSON bytes (RFC 8785) and keyed digests of them."""

import hashlib
import hmac
from typing import Any

import rfc8785
from django.conf import settings


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value.

    Integers beyond 53 bits are outside RFC 8785's domain and are written as strings.
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.IntegerDomainError:
        return rfc8785.dumps(_with_big_integers_as_text(value))


def _with_big_integers_as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, dict):
        return {key: _with_big_integers_as_text(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_big_integers_as_text(item) for item in value]
    return value


def keyed_digest(value: Any, *, purpose: str) -> str:
    """HMAC-SHA256 in hex over the canonical bytes.

    Keyed, since a plain digest of short arguments can be found by trying words.
    """
    key = hashlib.sha256(f"{purpose}:{settings.SECRET_KEY}".encode()).digest()
    return hmac.new(key, canonical(value), hashlib.sha256).hexdigest()
