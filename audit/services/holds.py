"""Legal holds: months that nobody may drop, whatever their age."""

from datetime import date, datetime

from django.db import transaction

from audit import events
from audit.actor import Actor, Target
from audit.models import Hold
from audit.services.record import record
from core.errors import Invalid, NotFound

_LONGEST_REASON = 400


@transaction.atomic
def set_hold(
    *,
    title: str,
    reason: str,
    first: date,
    last: date | None,
    actor: Actor,
    at: datetime,
) -> Hold:
    """Put months under a hold; without ``last``, all from ``first`` on.

    Raises Invalid.
    """
    first, last = first.replace(day=1), last.replace(day=1) if last else None
    if last and last < first:
        raise Invalid("The last month is before the first one: swap them.")
    hold = Hold.objects.create(
        title=_said(title, "Give it a name.", 100),
        reason=_said(reason, "Say why: the reason goes on record."),
        first=first,
        last=last,
        set_by=actor.label[:200],
        set_at=at,
    )
    record(
        events.HOLD_SET,
        actor=actor,
        at=at,
        target=_target(hold),
        payload={
            "reason": hold.reason,
            "from": f"{first:%Y-%m}",
            "to": f"{last:%Y-%m}" if last else "",
        },
    )
    return hold


@transaction.atomic
def lift_hold(*, hold_id: int, reason: str, actor: Actor, at: datetime) -> Hold:
    """End a hold. Raises NotFound, Invalid."""
    hold = find_hold(hold_id, locked=True)
    if hold.lifted_at is not None:
        raise Invalid(f"{hold.title} was lifted already, by {hold.lifted_by}.")
    hold.lifted_because = _said(reason, "Say why: the reason goes on record.")
    hold.lifted_by, hold.lifted_at = actor.label[:200], at
    hold.save(update_fields=["lifted_because", "lifted_by", "lifted_at"])
    record(
        events.HOLD_LIFTED,
        actor=actor,
        at=at,
        target=_target(hold),
        payload={"reason": hold.lifted_because},
    )
    return hold


def find_hold(hold_id: int, *, locked: bool = False) -> Hold:
    """A hold by its number. Raises NotFound."""
    rows = Hold.objects.select_for_update() if locked else Hold.objects
    hold = rows.filter(pk=hold_id).first()
    if hold is None:
        raise NotFound("There is no such legal hold.")
    return hold


def _said(text: str, missing: str, longest: int = _LONGEST_REASON) -> str:
    kept = text.strip()
    if not kept or "\x00" in kept:
        raise Invalid(missing)
    if len(kept) > longest:
        raise Invalid(f"At most {longest} characters.")
    return kept


def _target(hold: Hold) -> Target:
    return Target("hold", str(hold.pk), hold.title)
