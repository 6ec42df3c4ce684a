"""What a tool is to an agent: its definition, fingerprint, alias and effect."""

import hashlib
import keyword
import math
import re
import unicodedata
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

import rfc8785

Schema = Mapping[str, Any]

READ = "read"
IDEMPOTENT_WRITE = "idempotent_write"
WRITE = "write"

MAX_ALIAS = 80
_MAX_SAFE_INTEGER = 2**53 - 1


@dataclass(frozen=True, slots=True)
class ToolDef:
    """One version of a tool, as scripts call it and as search finds it."""

    server: str
    name: str
    original: str
    title: str
    description: str
    input_schema: Schema = field(hash=False)
    output_schema: Schema | None = field(hash=False)
    tags: tuple[str, ...]
    effect: str
    version: int
    fingerprint: str
    scripted: bool = True
    """Whether scripts may call it; else it is called directly only."""

    @property
    def full_name(self) -> str:
        return f"{self.server}.{self.name}"


def fingerprint(
    *,
    name: str,
    description: str,
    input_schema: Schema,
    output_schema: Schema | None,
    annotations: Mapping[str, Any],
) -> str:
    """SHA-256 of the definition's canonical bytes (RFC 8785), in hexadecimal.

    Raises ValueError when the definition is nested too deeply or holds itself.
    """
    body = {
        "annotations": annotations,
        "description": description,
        "inputSchema": input_schema,
        "name": name,
        "outputSchema": output_schema,
    }
    try:
        canonical = rfc8785.dumps(_representable(body))
    except RecursionError:
        raise ValueError(
            "The tool's schema is nested too deeply to be fingerprinted: flatten it."
        ) from None
    return hashlib.sha256(canonical).hexdigest()


def _representable(value: Any) -> Any:
    # Real documents hold integers beyond 64 bits, NaN from YAML, lone surrogates and
    # keys that are numbers. RFC 8785 refuses them; here each gets a marked text, so
    # that two definitions that differ only there still differ.
    if isinstance(value, Mapping):
        return {_text(str(key)): _representable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_representable(item) for item in value]
    if isinstance(value, str):
        return _text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _MAX_SAFE_INTEGER else f"\0integer:{value:x}"
    if isinstance(value, float):
        return value if math.isfinite(value) else f"\0number:{value}"
    return f"\0{type(value).__name__}:{value}"


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return "\0text:" + value.encode(errors="backslashreplace").decode()
    return value


def safe_alias(original: str, taken: AbstractSet[str]) -> str:
    """A Python identifier for an upstream name, not in `taken`.

    The same name always proposes the same alias; a name that is cut or that meets a
    taken alias carries a digest of the original, so that no two ever become one.
    """
    plain = unicodedata.normalize("NFKD", original).encode("ascii", "ignore").decode()
    alias = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")
    if not alias:
        alias = "tool"
    if alias[0].isdigit():
        alias = f"n{alias}"
    if keyword.iskeyword(alias):
        alias = f"{alias}_"
    if len(alias) <= MAX_ALIAS and alias not in taken:
        return alias
    digest = hashlib.sha256(original.encode(errors="surrogatepass")).hexdigest()
    stem = alias[: MAX_ALIAS - 9].rstrip("_")
    for length in (8, 16, 32, 64):
        candidate = f"{stem}_{digest[:length]}"
        if candidate not in taken:
            return candidate
    # Only when `taken` already holds every alias of this very name.
    number = 2
    while f"{candidate}_{number}" in taken:
        number += 1
    return f"{candidate}_{number}"


def propose_effect(annotations: Mapping[str, Any]) -> str:
    """The effect a server's own hints suggest; a person confirms it at review."""
    if annotations.get("readOnlyHint") is True:
        return READ
    if annotations.get("idempotentHint") is True:
        return IDEMPOTENT_WRITE
    return WRITE
