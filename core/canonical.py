"""Canonical JSON bytes (RFC 8785) and keyed digests of them."""

import hashlib
import hmac
import math
from contextlib import suppress
from typing import Any

import orjson
import rfc8785
from django.conf import settings

_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value.

    What is outside RFC 8785's domain (integers beyond 53 bits, NaN, lone surrogates)
    is written as text.
    """
    if _is_plain(value):
        with suppress(orjson.JSONEncodeError):
            return orjson.dumps(value, option=_SORTED)
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return rfc8785.dumps(_representable(value))


def _is_plain(value: Any) -> bool:
    """Whether orjson's bytes are those of RFC 8785, at a tenth of the cost.

    They differ in the form of floats, and in the order of keys beyond UTF-16's first
    plane. What orjson refuses goes the long way as well.
    """
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return True
    if kind is dict:
        return all(type(key) is str and key.isascii() for key in value) and all(
            map(_is_plain, value.values())
        )
    return (kind is list or kind is tuple) and all(map(_is_plain, value))


def _representable(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {_representable(str(key)): _representable(v) for key, v in value.items()}
    return [_representable(item) for item in value]


def keyed_digest(value: Any, *, purpose: str) -> str:
    """HMAC-SHA256 in hex over the canonical bytes.

    Keyed, since a plain digest of short arguments can be found by trying words.
    """
    key = hashlib.sha256(f"{purpose}:{settings.SECRET_KEY}".encode()).digest()
    return hmac.new(key, canonical(value), hashlib.sha256).hexdigest()
