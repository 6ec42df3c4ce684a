"""Takes a sink one batch further along the sealed index: at least once, in order."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F

from audit import events
from audit.actor import SYSTEM
from audit.formats.items import Anchor, Item, Sealed
from audit.models import DeadLetter, Sink
from audit.sealed import after
from audit.services.dead_letters import bury, resend
from audit.services.record import record
from audit.services.sink_words import clean, target_of
from audit.sinks import transport
from audit.transports import Transport
from core.clock import now
from core.errors import TollgateError
from core.outgoing import NotDelivered

_LONGEST_PAUSE = 60.0
_FIRST_PAUSE = 0.5
_JITTER = 0.25
# The first failures in a row may be a restart of the receiver: no news yet.
_NEWS_AFTER = 3


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn did; ``idle`` when there was nothing to do or a pause holds."""

    delivered: int = 0
    refused: int = 0
    failed: bool = False

    @property
    def idle(self) -> bool:
        return not self.delivered and not self.refused


def take_turn(sink_id: int) -> Turn:
    """Deliver one batch, if the sink is on and no pause holds.

    One caller at a time a sink. Nothing here is in a transaction while it talks to
    the network. A crash between the receiver's taking and our noting it makes
    duplicates, never a loss.
    """
    sink = Sink.objects.filter(pk=sink_id, enabled=True).first()
    if sink is None or (sink.retry_at and sink.retry_at > now()):
        return Turn()
    try:
        return _deliver(sink)
    except NotDelivered as error:
        _note_failure(sink, error.message)
    except TollgateError as error:
        _note_failure(sink, error.message)
    return Turn(failed=True)


def _deliver(sink: Sink) -> Turn:
    way = open_way(sink)
    resent = resend(sink, way)
    items = after(sink.cursor, sink.anchored)
    if not items:
        return Turn(delivered=resent)
    refused = send_apart(way, items)
    _note_success(sink, items, refused)
    return Turn(resent + len(items) - len(refused), len(refused))


def open_way(sink: Sink) -> Transport:
    """The transport of a sink. Raises SealBroken."""
    return transport(
        kind=sink.kind, form=sink.form, options=sink.options, secrets=sink.secrets
    )


def send_apart(
    way: Transport, items: Sequence[Item]
) -> Sequence[tuple[Item, NotDelivered]]:
    """Send, halving a batch that is refused until it is clear what is refused.

    Returns what is; raises NotDelivered when that is all of it, since a receiver that
    takes nothing is at fault, not the events.
    """
    try:
        way.send(items)
    except NotDelivered as error:
        if not error.final or len(items) == 1:
            raise
        return _halves(way, items)
    return ()


def _halves(
    way: Transport, items: Sequence[Item]
) -> Sequence[tuple[Item, NotDelivered]]:
    refused: list[tuple[Item, NotDelivered]] = []
    waiting = [items[: len(items) // 2], items[len(items) // 2 :]]
    while waiting:
        part = waiting.pop(0)
        try:
            way.send(part)
        except NotDelivered as error:
            if not error.final:
                raise
            if len(part) > 1:
                waiting[:0] = [part[: len(part) // 2], part[len(part) // 2 :]]
                continue
            refused.append((part[0], error))
    if len(refused) == len(items):
        raise refused[0][1]
    return refused


@transaction.atomic
def _note_success(
    sink: Sink, items: Sequence[Item], refused: Sequence[tuple[Item, NotDelivered]]
) -> None:
    at = now()
    sealed = [item.index for item in items if isinstance(item, Sealed)]
    anchors = [item.size for item in items if isinstance(item, Anchor)]
    Sink.objects.filter(pk=sink.pk, cursor=sink.cursor).update(
        cursor=sealed[-1] + 1 if sealed else sink.cursor,
        anchored=anchors[-1] if anchors else sink.anchored,
        delivered=F("delivered") + len(items) - len(refused),
        failures=0,
        failing_since=None,
        retry_at=None,
        last_delivered_at=at,
    )
    if sink.failures >= _NEWS_AFTER:
        record(events.SINK_RECOVERED, actor=SYSTEM, at=at, target=target_of(sink))
    if refused:
        _keep(sink, refused, at)


def _keep(
    sink: Sink, refused: Sequence[tuple[Item, NotDelivered]], at: datetime
) -> None:
    """Keep what was refused; news only of the first, or news would beget news."""
    first = not sink.dead.filter(state=DeadLetter.State.WAITING).exists()
    for item, error in refused:
        bury(sink, item, error=clean(sink, error.message), at=at)
    if first:
        record(
            events.SINK_REFUSED,
            actor=SYSTEM,
            at=at,
            target=target_of(sink),
            payload={
                "letters": len(refused),
                "error": clean(sink, refused[0][1].message),
            },
        )


@transaction.atomic
def _note_failure(sink: Sink, message: str) -> None:
    at, error = now(), clean(sink, message)
    failures = sink.failures + 1
    Sink.objects.filter(pk=sink.pk).update(
        failures=failures,
        failed=F("failed") + 1,
        failing_since=sink.failing_since or at,
        retry_at=at + timedelta(seconds=pause(failures)),
        last_error=error,
        last_failed_at=at,
    )
    if failures == _NEWS_AFTER:
        record(
            events.SINK_FAILING,
            actor=SYSTEM,
            at=at,
            target=target_of(sink),
            payload={"error": error},
        )


def pause(failures: int) -> float:
    """Seconds until the next attempt: doubled each time, a minute at most."""
    whole: float = min(_FIRST_PAUSE * 2 ** min(failures, 20), _LONGEST_PAUSE)
    return whole * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
