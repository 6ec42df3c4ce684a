"""Keeps what a sink refused, and sends it again when somebody asks."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F

from audit import events
from audit.actor import Actor
from audit.formats.items import CHECKPOINT, Anchor, Item, Sealed
from audit.models import DeadLetter, Sink
from audit.services.record import record
from audit.services.sink_words import clean, target_of
from audit.transports import Transport
from core.clock import now
from core.errors import Invalid, NotFound
from core.outgoing import NotDelivered

State = DeadLetter.State
_MOST_A_TURN = 50


def bury(sink: Sink, item: Item, *, error: str, at: datetime) -> None:
    """Keep the item whole; one that lies there already stays one."""
    if isinstance(item, Anchor):
        place, name, body, leaf = item.size, CHECKPOINT, item.note, item.root
    else:
        place, name, body, leaf = item.index, item.name, item.body, item.leaf
    letter = DeadLetter(
        sink=sink,
        position=place,
        uid=item.uid,
        at=item.at,
        name=name,
        summary=item.summary,
        body=body,
        hash=leaf,
        error=error,
        created_at=at,
    )
    DeadLetter.objects.bulk_create([letter], ignore_conflicts=True)


def item_of(letter: DeadLetter) -> Item:
    """What was refused, as it is sent."""
    if letter.name == CHECKPOINT:
        return Anchor(letter.position, letter.hash, letter.body, letter.at)
    return Sealed(
        letter.position,
        letter.uid,
        letter.at,
        letter.name,
        letter.summary,
        letter.body,
        letter.hash,
    )


def resend(sink: Sink, way: Transport) -> int:
    """Send the letters that somebody queued, one at a time; how many were taken.

    Raises NotDelivered where the receiver is away: they stay queued.
    """
    taken = 0
    for letter in sink.dead.filter(state=State.QUEUED).order_by("pk")[:_MOST_A_TURN]:
        try:
            way.send([item_of(letter)])
        except NotDelivered as error:
            if not error.final:
                raise
            _set(letter, State.WAITING, error=clean(sink, error.message))
            continue
        _set(letter, State.DELIVERED, delivered_at=now())
        taken += 1
    if taken:
        Sink.objects.filter(pk=sink.pk).update(delivered=F("delivered") + taken)
    return taken


def _set(letter: DeadLetter, state: str, **values: object) -> None:
    DeadLetter.objects.filter(pk=letter.pk).update(
        state=state, attempts=F("attempts") + 1, **values
    )


@transaction.atomic
def ask_again(
    *, sink_id: int, letters: Sequence[int] | None, actor: Actor, at: datetime
) -> int:
    """Queue dead letters once more, all of a sink's or these; how many.

    Raises NotFound, Invalid where none waits.
    """
    sink = Sink.objects.select_for_update().filter(pk=sink_id).first()
    if sink is None:
        raise NotFound("There is no such audit sink.")
    waiting = sink.dead.filter(state=State.WAITING)
    if letters is not None:
        waiting = waiting.filter(pk__in=letters)
    count = waiting.update(state=State.QUEUED)
    if not count:
        raise Invalid("No dead letter waits here.")
    record(
        events.LETTERS_RESENT,
        actor=actor,
        at=at,
        target=target_of(sink),
        payload={"letters": count},
    )
    return count
