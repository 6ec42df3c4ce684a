"""Asks a server whether an interrupted write happened, once that can be known."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from audit.actor import Actor, Target
from audit.services.record import record
from gateway import events
from gateway.catalog import Catalog, CatalogTool
from gateway.connectors.api import Outcome, ServerSpec, UpstreamError
from gateway.models import Run, ToolCall
from gateway.models.catalog import Effect
from gateway.sandbox.api import Reply
from gateway.selectors.outcomes import longest_send
from gateway.services import idempotency

DUE = "its interrupted write can be looked up or sent again"


class Upstream(Protocol):
    """The part of the connection pool that a look-up needs."""

    def call(
        self,
        spec: ServerSpec,
        tool: str,
        arguments: dict[str, object],
        *,
        timeout: float,
        meta: Mapping[str, object] | None = None,
    ) -> Outcome: ...


def reader_of(tool: CatalogTool, catalog: Catalog) -> CatalogTool | None:
    """The tool that looks ``tool``'s calls up; None where none may be called.

    What was confirmed to read when it was chosen may count as a write by now.
    """
    if not tool.lookup:
        return None
    for other in catalog.tools.values():
        named = (other.server_id, other.definition.original)
        if named == (tool.server_id, tool.lookup):
            return other if other.effect == Effect.READ else None
    return None


def ask(
    *,
    reader: CatalogTool,
    tool: CatalogTool,
    run: str,
    step: int,
    spec: ServerSpec,
    upstream: Upstream,
    actor: Actor,
    at: datetime,
) -> Reply | None:
    """Ask whether the call of this step happened: its value, null where it did not.

    None where the server cannot say. Only to be asked once nobody can still be sending
    the call. The question is on record before it is sent.
    """
    record(
        events.CALL_LOOKED_UP,
        actor=actor,
        at=at,
        target=Target("tool", tool.full_name[:120], tool.full_name[:120]),
        tool=tool.full_name,
        run=run,
        step=step,
        payload={"lookup": reader.full_name},
    )
    name, key = idempotency.lookup(tool, run=run, step=step)
    try:
        outcome = upstream.call(
            spec,
            reader.definition.original,
            {name: key},
            timeout=min(spec.timeout_seconds, settings.CALL_LONGEST_SECONDS),
        )
    except UpstreamError:
        return None
    return None if outcome.is_error else Reply(value=outcome.value)


def due(*, at: datetime) -> QuerySet[Run]:
    """Held runs whose interrupted writes may all be looked up, and need no person."""
    unknown = ToolCall.objects.filter(
        run=OuterRef("pk"), outcome=ToolCall.Outcome.UNKNOWN
    )
    under_way = ToolCall.objects.filter(
        run=OuterRef("pk"), outcome="", intent_at__gt=at - longest_send()
    )
    held = Run.objects.filter(status=Run.Status.AWAITING_OUTCOME)
    return held.exclude(Exists(unknown)).exclude(Exists(under_way))
