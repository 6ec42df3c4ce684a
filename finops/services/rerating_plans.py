"""Re-rating in two steps: look at what would change, then do just that."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Max

from audit.actor import Actor
from audit.web import Rights
from core.clock import now
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.jobs import enqueue
from core.reasons import reason_given
from finops.chargeback.months import bounds
from finops.models import BillingPeriod, Rerating
from finops.rerate import Change, Moved, cost_at, moved
from finops.services.prices import book_stamp, current_book, hold_book
from finops.services.rerating import BATCH, Wanted, check, price_batch

AT_ONCE = 20_000
"""As many rows as are priced while somebody waits."""
_SILENT = timedelta(seconds=60)
State = Rerating.State
_CHANGED = "The price book has changed since: look at the difference again."


def look(
    *, wanted: Wanted, teams: frozenset[str] | None, actor: Actor, at: datetime
) -> Rerating:
    """Find what pricing anew would change; up to ``AT_ONCE`` rows at once, else a task.

    ``teams`` bounds whose usage is meant. No usage is changed. Raises Invalid.
    """
    check(wanted)
    asked = Rerating(
        uid=new_id("rer"),
        start=wanted.start,
        end=wanted.end,
        sku=wanted.sku,
        teams=None if teams is None else sorted(teams),
        state=State.LOOKING,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label,
        asked_at=at,
        alive_at=at,
    )
    few = wanted_of(asked).rows()[: AT_ONCE + 1].count() <= AT_ONCE
    with transaction.atomic():
        asked.save()
        if not few:
            enqueue("finops.work_on_rerating", swept=True, uid=asked.uid)
    return work_on(uid=asked.uid) if few else asked


def apply(
    *, uid: str, digest: str, reason: str, rights: Rights, actor: Actor, at: datetime
) -> Rerating:
    """Do what was looked at as ``digest``: small ones at once, else by a task.

    Raises NotFound; Invalid, also where the price book has changed since.
    """
    why = reason_given(reason)
    with transaction.atomic():
        asked = rerating_for(rights, uid, lock=True)
        if asked.state != State.LOOKED or asked.digest != digest:
            raise Invalid("Look at the difference first: this is not the one shown.")
        if asked.stamp != book_stamp():
            raise Invalid(_CHANGED)
        asked.state, asked.reason, asked.alive_at = State.WORKING, why, at
        asked.actor_kind, asked.actor_id = actor.kind, actor.id
        asked.actor_label, asked.passed = actor.label, 0
        asked.save()
        few = asked.rows <= AT_ONCE
        if not few:
            enqueue("finops.work_on_rerating", swept=True, uid=uid)
    return work_on(uid=uid) if few else asked


def work_on(*, uid: str) -> Rerating:
    """Look, or price anew, as far as that is still to do; safe to run twice."""
    asked = Rerating.objects.get(uid=uid)
    if asked.state == State.LOOKING:
        return _look(asked)
    while asked.state == State.WORKING:
        asked = _step(uid)
    return asked


def work_on_lost(*, at: datetime) -> int:
    """Take up what no worker has been at for a minute; how many there were."""
    lost = Rerating.objects.filter(
        state__in=(State.LOOKING, State.WORKING), alive_at__lt=at - _SILENT
    )
    uids = list(lost.order_by("pk").values_list("uid", flat=True))
    for uid in uids:
        work_on(uid=uid)
    return len(uids)


def rerating_for(rights: Rights, uid: str, *, lock: bool = False) -> Rerating:
    """A re-rating of usage whose prices one may change. Raises NotFound."""
    found = Rerating.objects.filter(uid=uid)
    teams = rights.teams_for("costs.admin")
    if teams is not None:
        found = found.filter(teams__contained_by=sorted(teams))
    asked = (found.select_for_update() if lock else found).first()
    if asked is None:
        raise NotFound("There is no such re-rating that you may see.")
    return asked


def wanted_of(asked: Rerating) -> Wanted:
    """The usage that is meant."""
    teams = None if asked.teams is None else frozenset(asked.teams)
    return Wanted(asked.start, asked.end, asked.sku, teams)


def moved_by(asked: Rerating) -> tuple[Moved, ...]:
    """What it changes, by SKU."""
    return tuple(
        Moved(
            **one | {"before": Decimal(one["before"]), "after": Decimal(one["after"])}
        )
        for one in asked.result
    )


def closed_within(asked: Rerating) -> BillingPeriod | None:
    """The last closed month that its usage lies in, or before."""
    states = (BillingPeriod.State.CLOSED, BillingPeriod.State.ISSUED)
    last = BillingPeriod.objects.filter(state__in=states).order_by("-month").first()
    if last is None or bounds(last.month, last.zone)[1] <= asked.start:
        return None
    return last


def _look(asked: Rerating) -> Rerating:
    # The stamp is read first: a change in between makes the doing refuse.
    asked.stamp = book_stamp()
    asked.newest = wanted_of(asked).rows().aggregate(newest=Max("pk"))["newest"] or 0
    asked.rows, digest = 0, hashlib.sha256()
    found = moved(_changes(asked, digest.update))
    asked.result = [
        asdict(one) | {"before": f"{one.before:f}", "after": f"{one.after:f}"}
        for one in found
    ]
    digest.update(repr((asked.uid, asked.stamp, asked.newest)).encode())
    asked.digest, asked.state = digest.hexdigest(), State.LOOKED
    asked.save()
    return asked


def _changes(asked: Rerating, note: Callable[[bytes], None]) -> Iterator[Change]:
    book = current_book()
    rows = wanted_of(asked).rows().filter(pk__lte=asked.newest).order_by("pk")
    fields = ("sku", "unit", "at", "quantity", "cost", "flaw")
    for row in rows.only(*fields).iterator(chunk_size=BATCH):
        asked.rows += 1
        if asked.rows % AT_ONCE == 0:
            Rerating.objects.filter(pk=asked.pk).update(alive_at=now(), rows=asked.rows)
        after = cost_at(book, row)
        if after != row.cost:
            note(f"{row.pk} {after}\n".encode())
            yield row.sku, row.cost, after


@transaction.atomic
def _step(uid: str) -> Rerating:
    """One batch, and how far that is, together."""
    asked = Rerating.objects.select_for_update().get(uid=uid)
    if asked.state != State.WORKING:
        return asked
    hold_book()
    at = now()
    if asked.stamp != book_stamp():
        asked.state, asked.ended_at = State.STALE, at
    else:
        actor = Actor(asked.actor_kind, asked.actor_id, asked.actor_label)
        last, passed, done = price_batch(
            wanted_of(asked), asked.last, asked.newest, BATCH, asked.reason, actor, at
        )
        asked.last, asked.alive_at = last, at
        asked.passed += passed
        asked.changed += len(done)
        if asked.last >= asked.newest:
            asked.state, asked.ended_at = State.DONE, at
    asked.save()
    return asked
