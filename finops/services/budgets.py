"""Budgets: reserved before the act, atomically, and settled with its real cost."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Q

from audit.models import Event
from core.errors import BudgetExceeded
from core.prepared import prepared_cursor
from finops.budgeting.terms import Cover, Standing, ends_last
from finops.budgeting.windows import Window
from finops.models import Budget, BudgetHold, BudgetRefusal, BudgetUse
from finops.services.metering import Payer
from policy.principal import Principal

BUDGETS = "budgets"
_REQUEST_LASTS = timedelta(hours=1)
# The hard stop of a budget b now; null where it has none or rests.
_LIMIT = """CASE WHEN b.hard AND NOT b.paused THEN b.amount + CASE
  WHEN b.grace_until IS NULL OR %(at)s::timestamptz < b.grace_until
  THEN coalesce(b.grace_amount, b.amount * b.grace_percent / 100, 0) ELSE 0 END END"""
# One statement for all budgets of an act, as quotas do it: each row is locked, compared
# and raised in one step, in the order of the budgets' ids, which is everybody's. What a
# budget allows and what a run is expected to cost are its row's own of this moment.
_TAKE = f"""
WITH asked AS (
  SELECT a.budget, a.start, a.until, b.amount AS budgeted, {_LIMIT} AS "limit",
    greatest(coalesce(%(amount)s::numeric, b.reserve, b.expected), 0.000001) AS amount
  FROM unnest(%(budgets)s::bigint[], %(starts)s::timestamptz[],
    %(ends)s::timestamptz[]) AS a (budget, start, until)
  JOIN finops_budget b ON b.id = a.budget AND b.removed_at IS NULL
), taken AS (
  INSERT INTO finops_budgetuse AS u
    (budget_id, window_start, window_end, spent, held, "limit", corrections)
  SELECT budget, start, until, 0, amount, "limit", 0 FROM asked
  WHERE "limit" IS NULL OR amount <= "limit" ORDER BY budget
  ON CONFLICT (budget_id, window_start) DO UPDATE
    SET held = u.held + excluded.held, "limit" = excluded."limit"
    WHERE excluded."limit" IS NULL
      OR u.spent + u.held + excluded.held <= excluded."limit"
  RETURNING budget_id
), holds AS (
  INSERT INTO finops_budgethold AS h
    (holder, budget_id, window_start, amount, at, expires_at)
  SELECT %(holder)s::text, budget, start, amount, %(at)s::timestamptz,
    %(until)s::timestamptz
  FROM asked JOIN taken ON taken.budget_id = budget
  ON CONFLICT (holder, budget_id) DO UPDATE SET amount = h.amount + excluded.amount
)
SELECT a.budget, a.amount, a.budgeted, a."limit" FROM asked a
LEFT JOIN taken t ON t.budget_id = a.budget WHERE t.budget_id IS NULL
"""  # noqa: S608 - the text stands above
# Holds are locked before uses, so that ending a run and one of its calls take turns.
_MINE = """mine AS MATERIALIZED (
  SELECT id, budget_id, window_start, amount FROM finops_budgethold
  WHERE holder = %(holder)s::text ORDER BY budget_id FOR UPDATE
)"""
# Windows that are over by now are left to be settled one by one.
_SETTLE = f"""
WITH {_MINE}, over AS MATERIALIZED (
  SELECT count(*) AS number FROM mine m JOIN finops_budgetuse u
    ON u.budget_id = m.budget_id AND u.window_start = m.window_start
  WHERE u.window_end <= %(at)s::timestamptz
), gone AS MATERIALIZED (
  DELETE FROM finops_budgethold h USING mine m, over o
  WHERE h.id = m.id AND o.number = 0
  RETURNING h.budget_id, h.window_start, h.amount
), locked AS MATERIALIZED (
  SELECT u.id, g.amount FROM finops_budgetuse u
  JOIN gone g ON g.budget_id = u.budget_id AND g.window_start = u.window_start
  ORDER BY u.budget_id, u.window_start FOR UPDATE OF u
), changed AS (
  UPDATE finops_budgetuse u
  SET held = u.held - l.amount, spent = u.spent + %(cost)s::numeric
  FROM locked l WHERE u.id = l.id
)
SELECT number FROM over
"""  # noqa: S608 - the text stands above
_COUNT = """
INSERT INTO finops_budgetuse AS u
  (budget_id, window_start, window_end, spent, held, corrections)
SELECT budget, start, until, cost, 0, 0
FROM unnest(%(budgets)s::bigint[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
  %(costs)s::numeric[]) AS a (budget, start, until, cost) ORDER BY budget, start
ON CONFLICT (budget_id, window_start) DO UPDATE SET spent = u.spent + excluded.spent
"""
# A hold grows by what it lacks, and by as much again as it was where that can be had,
# so that a run of many calls does not ask for each.
_EXTEND = f"""
WITH {_MINE}, locked AS MATERIALIZED (
  SELECT u.id, h.id AS hold, h.budget_id, h.amount,
    %(needed)s::numeric - h.amount AS short, b.amount AS budgeted, u.spent, u.held,
    {_LIMIT} AS "limit"
  FROM mine h
  JOIN finops_budgetuse u
    ON u.budget_id = h.budget_id AND u.window_start = h.window_start
  JOIN finops_budget b ON b.id = h.budget_id AND b.removed_at IS NULL
  WHERE h.amount < %(needed)s::numeric
  ORDER BY u.budget_id, u.window_start FOR UPDATE OF u
), granted AS MATERIALIZED (
  SELECT *, CASE WHEN "limit" IS NULL THEN greatest(short, amount)
    ELSE least(greatest(short, amount), "limit" - spent - held) END AS extra
  FROM locked
), fits AS (SELECT coalesce(bool_and(extra >= short), true) AS ok FROM granted
), raised AS (
  UPDATE finops_budgetuse u SET held = u.held + g.extra, "limit" = g."limit"
  FROM granted g, fits WHERE u.id = g.id AND fits.ok
), held AS (
  UPDATE finops_budgethold h SET amount = h.amount + g.extra
  FROM granted g, fits WHERE h.id = g.hold AND fits.ok
)
SELECT budget_id, short, budgeted, "limit" FROM granted WHERE extra < short
"""  # noqa: S608 - the text stands above


@dataclass(frozen=True, slots=True)
class _Held:
    stamp: tuple[int, int]
    covers: tuple[Cover, ...]


_held: _Held | None = None
# As for the price book: ids of versions are never given twice, so that a change that
# was rolled back is told apart.
_STAMP = """
SELECT coalesce((SELECT number FROM core_revision WHERE name = 'budgets'), 0),
       coalesce((SELECT max(id) FROM finops_budgetversion), 0)
"""


def current_budgets() -> tuple[Cover, ...]:
    """Every budget in force; one small query while none was changed."""
    global _held
    with prepared_cursor() as cursor:
        cursor.execute(_STAMP)
        number, newest = cursor.fetchone()
    held = _held
    if held is None or held.stamp != (number, newest):
        # The stamp is read first: a change in between makes the next call read again.
        held = _held = _Held((number, newest), _read(Q()))
    return held.covers


def budgets_of(*, team: str) -> tuple[Cover, ...]:
    """The budgets that may count costs of this team; one query."""
    return _read(
        Q(team=None, project=None, key=None)
        | Q(team__slug=team)
        | Q(project__team__slug=team)
        | Q(key__service_account__team__slug=team)
    )


def _read(which: Q) -> tuple[Cover, ...]:
    rows = Budget.objects.live().filter(which)
    found = rows.select_related("team", "project__team", "key").order_by("pk")
    return tuple(row.as_cover() for row in found)


def covering(
    covers: Iterable[Cover], *, payer: Payer, key: str, model: str
) -> tuple[Cover, ...]:
    """Those that count a cost, in the one order in which all lock them."""
    return tuple(
        cover
        for cover in sorted(covers, key=lambda one: one.id)
        if cover.counts(team=payer.team, project=payer.project, key=key, model=model)
    )


def reserve(
    *,
    payer: Payer,
    key: str,
    model: str,
    holder: str,
    amount: Decimal | None,
    at: datetime,
    covers: Sequence[Cover] | None = None,
) -> None:
    """Let ``holder`` hold ``amount`` of every budget that covers it, or of none.

    Without an amount it is what each budget says of a run. ``covers`` are the budgets
    that the caller has in memory: with none of them nothing is asked of the database.
    Runs inside the caller's transaction, which a refusal has to roll back, and comes
    last in it. Raises BudgetExceeded with the figures of the budget that lasts longest.
    """
    known = current_budgets() if covers is None else covers
    found = _in_window(covering(known, payer=payer, key=key, model=model), at)
    if not found:
        return
    values = {
        **_places(found),
        "amount": amount,
        "holder": holder,
        "at": at,
        "until": None if holder == payer.run else at + _REQUEST_LASTS,
    }
    with prepared_cursor() as cursor:
        cursor.execute(_TAKE, values)
        refused = cursor.fetchall()
    if refused:
        raise _exceeded(refused, dict(_by_id(found)), "run" if payer.run else "request")


def extend(
    *, holder: str, needed: Decimal, covers: Sequence[Cover], at: datetime
) -> None:
    """Let a holder hold at least ``needed`` of each of its budgets, or change nothing.

    Runs inside the caller's transaction. Raises BudgetExceeded.
    """
    with prepared_cursor() as cursor:
        cursor.execute(_EXTEND, {"holder": holder, "needed": needed, "at": at})
        refused = cursor.fetchall()
    if refused:
        by_id = {cover.id: cover for cover in covers}
        holds = BudgetHold.objects.filter(holder=holder)
        starts = dict(holds.values_list("budget_id", "window_start"))
        windows = {
            row[0]: (by_id[row[0]], by_id[row[0]].calendar.at(starts[row[0]]))
            for row in refused
            if row[0] in by_id
        }
        raise _exceeded(
            refused, {k: (c, w) for k, (c, w) in windows.items() if w}, "call"
        )


def held_by(holder: str) -> Decimal | None:
    """The least that it holds of any budget; None where it holds of none."""
    amounts = BudgetHold.objects.filter(holder=holder).values_list("amount", flat=True)
    return min(amounts, default=None)


def settle(*, holder: str, cost: Decimal, at: datetime) -> None:
    """Replace what ``holder`` held by what it cost; a second time changes nothing.

    ``at`` is when the cost is booked: it counts in the window of that moment. Runs
    inside the transaction that books it, as its last lock. A cost beyond what was held
    is counted too, even where that passes the budget.
    """
    with prepared_cursor() as cursor:
        cursor.execute(_SETTLE, {"holder": holder, "cost": cost, "at": at})
        (over,) = cursor.fetchone()
    if over:
        _settle_later(holder, cost, at)


def _settle_later(holder: str, cost: Decimal, at: datetime) -> None:
    """A window ended in between: what was held goes there, the cost into the next."""
    holds = list(
        BudgetHold.objects.filter(holder=holder)
        .select_for_update(of=("self",))
        .select_related("budget__team", "budget__project__team", "budget__key")
        .order_by("budget_id")
    )
    for hold in holds:
        cover = hold.budget.as_cover()
        use = BudgetUse.objects.select_for_update().get(
            budget_id=hold.budget_id, window_start=hold.window_start
        )
        use.held -= hold.amount
        use.save(update_fields=["held"])
        found = _in_window((cover,), at)
        _count(found, [cost] * len(found))
        hold.delete()


def spend(*, holder: str, cost: Decimal, at: datetime) -> None:
    """Count a part of what ``holder`` costs; it keeps what it holds.

    Runs inside the transaction that books it.
    """
    held = BudgetHold.objects.filter(holder=holder).values("budget_id")
    if cost and (covers := _read(Q(pk__in=held))):
        found = _in_window(covers, at)
        _count(found, [cost] * len(found))


def charge(costs: Iterable[tuple[Payer, str, Decimal, datetime]]) -> None:
    """Count costs that nothing was reserved for, such as usage that is reported late.

    Each has its payer, model and the time at which it arose. Runs inside the
    transaction that books them, as its last lock; never refuses, since the money is
    spent.
    """
    covers = current_budgets()
    sums: dict[tuple[int, datetime], Decimal] = {}
    places: dict[tuple[int, datetime], tuple[Cover, Window]] = {}
    for payer, model, cost, at in costs:
        covered = covering(covers, payer=payer, key=payer.key, model=model)
        for cover, window in _in_window(covered, at):
            place = (cover.id, window.start)
            places[place] = (cover, window)
            sums[place] = sums.get(place, Decimal(0)) + cost
    _count(list(places.values()), list(sums.values()))


def _count(found: Sequence[tuple[Cover, Window]], costs: Sequence[Decimal]) -> None:
    if found:
        with prepared_cursor() as cursor:
            cursor.execute(_COUNT, {**_places(found), "costs": list(costs)})


def _in_window(covers: Iterable[Cover], at: datetime) -> list[tuple[Cover, Window]]:
    pairs = ((cover, cover.calendar.at(at)) for cover in covers)
    return [(cover, window) for cover, window in pairs if window is not None]


def _by_id(
    found: Iterable[tuple[Cover, Window]],
) -> Iterable[tuple[int, tuple[Cover, Window]]]:
    return ((cover.id, (cover, window)) for cover, window in found)


def _places(found: Sequence[tuple[Cover, Window]]) -> dict[str, list[Any]]:
    return {
        "budgets": [cover.id for cover, _ in found],
        "starts": [window.start for _, window in found],
        "ends": [window.end for _, window in found],
    }


def _exceeded(
    refused: Sequence[tuple[int, Decimal, Decimal, Decimal]],
    windows: dict[int, tuple[Cover, Window]],
    what: str,
) -> BudgetExceeded:
    uses = {
        (use.budget_id, use.window_start): use
        for use in BudgetUse.objects.filter(
            budget__in=windows,
            window_start__in=[window.start for _, window in windows.values()],
        )
    }
    standings = []
    for budget, asked, amount, limit in refused:
        cover, window = windows[budget]
        use = uses.get((budget, window.start))
        standings.append(
            Standing(
                cover=cover,
                window=window,
                amount=amount,
                limit=limit,
                spent=use.spent if use else Decimal(0),
                held=use.held if use else Decimal(0),
                asked=asked,
                currency=settings.CURRENCY,
            )
        )
    worst = ends_last(standings)
    return BudgetExceeded(worst.message(what=what), details=worst.details())


def release_expired(*, at: datetime) -> int:
    """Give back what requests hold that nobody can still be serving; how many holds."""
    expired = BudgetHold.objects.filter(expires_at__lte=at).order_by("pk")
    holders = list(expired.values_list("holder", flat=True)[:500])
    for holder in dict.fromkeys(holders):
        settle(holder=holder, cost=Decimal(0), at=at)
    return len(holders)


def note_refusal(
    details: Mapping[str, Any], *, principal: Principal, event: Event
) -> None:
    """Remember for the budget's page what the trail holds of its refusal.

    Outside any transaction, like the refusal's own event; any other is left alone.
    """
    if "budget" not in details:
        return
    BudgetRefusal.objects.create(
        budget_id=details["budget"],
        at=event.at,
        principal=principal.label[:200],
        team=principal.team,
        key=principal.key,
        tool=event.tool,
        run=event.run,
        asked=Decimal(details["asked"]),
        left=Decimal(details["left"]),
        event=event.uid,
    )
