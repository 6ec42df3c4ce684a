"""The stable key of a step, for tools that make a repeated call harmless."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.catalog import CatalogTool
from gateway.connectors.api import HEADER_META, UpstreamError
from gateway.models.catalog import Effect, Idempotency


@dataclass(frozen=True, slots=True)
class Keyed:
    """What is sent: arguments and ``_meta`` with the key where the tool takes it."""

    arguments: dict[str, Any]
    meta: Mapping[str, Any] | None = None


def key_of(*, run: str, step: int) -> str:
    """The same for every attempt at the same step, and for no other step."""
    return f"{run}:{step}"


def keyed(
    tool: CatalogTool, arguments: dict[str, Any], *, run: str, step: int
) -> Keyed:
    """The arguments with the step's key, as the catalog says the tool takes it."""
    key = key_of(run=run, step=step)
    name = tool.idempotency_name
    if tool.idempotency == Idempotency.ARGUMENT:
        return Keyed(arguments | {name: key})
    if tool.idempotency == Idempotency.META:
        return Keyed(arguments, {name or "idempotencyKey": key})
    if tool.idempotency == Idempotency.HEADER:
        return Keyed(arguments, {HEADER_META: {name or "Idempotency-Key": key}})
    return Keyed(arguments)


def lookup(tool: CatalogTool, *, run: str, step: int) -> tuple[str, str]:
    """The argument of a step's look-up: it takes the key by the tool's own name."""
    return tool.idempotency_name or "idempotency_key", key_of(run=run, step=step)


def leaves_unknown(tool: CatalogTool, error: UpstreamError) -> bool:
    """Whether a call may have happened that must not be made as another step."""
    if tool.effect == Effect.IDEMPOTENT_WRITE:
        # Another step of the script would have another key.
        keyed = tool.idempotency != Idempotency.NONE
        return keyed and error.sent and error.retryable
    return tool.effect == Effect.WRITE and error.sent
