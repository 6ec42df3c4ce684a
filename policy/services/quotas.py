"""Quotas: reserved before the act, atomically, and settled after it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Q

from audit.models import Event
from core.errors import QuotaExceeded
from core.prepared import prepared_cursor
from policy.models import Quota, QuotaHold, QuotaRefusal, QuotaUse
from policy.principal import Principal
from policy.quota import (
    AT_ONCE,
    CALLS,
    CONCURRENT,
    CPU,
    HELD,
    Ask,
    Limit,
    Want,
    amount_words,
    ask_of,
    asks,
)

_ONE = Want(CONCURRENT)
_ONE_CALL = Want(CALLS)
_CENT = Decimal("0.001")
# One statement for all quotas of an act. Each row is locked, compared and counted in
# one step, so that however many ask at once, no more than the limit get through; the
# order is everybody's, so that none waits for another in a circle. The limit is the
# row's own of this moment; a quota that is gone by now asks for nothing.
_TAKE = """
WITH asked AS (
  SELECT a.quota, a.start, a.amount, a.held, q."limit"
  FROM unnest(%(quotas)s::bigint[], %(starts)s::timestamptz[],
    %(amounts)s::numeric[], %(held)s::boolean[]) AS a (quota, start, amount, held)
  JOIN policy_quota q ON q.id = a.quota AND q.removed_at IS NULL
), taken AS (
  INSERT INTO policy_quotause AS u (quota_id, window_start, used, "limit")
  SELECT quota, start, amount, "limit" FROM asked WHERE amount <= "limit"
  ORDER BY quota
  ON CONFLICT (quota_id, window_start) DO UPDATE
    SET used = u.used + excluded.used, "limit" = excluded."limit"
    WHERE u.used + excluded.used <= excluded."limit"
  RETURNING quota_id
), holds AS (
  INSERT INTO policy_quotahold (holder, quota_id, window_start, amount, spent)
  SELECT %(holder)s, quota, start, amount, 0
  FROM asked JOIN taken ON taken.quota_id = quota WHERE held
  ON CONFLICT (holder, quota_id) DO UPDATE SET amount = excluded.amount
)
SELECT a.quota, a."limit" FROM asked a
LEFT JOIN taken t ON t.quota_id = a.quota WHERE t.quota_id IS NULL
"""
# What a run asks for of some metrics depends on what is left: all rows are locked, in
# the same order, to be read.
_LOOK = """
INSERT INTO policy_quotause AS u (quota_id, window_start, used, "limit")
SELECT q.id, a.start, 0, q."limit"
FROM unnest(%(quotas)s::bigint[], %(starts)s::timestamptz[]) AS a (quota, start)
JOIN policy_quota q ON q.id = a.quota AND q.removed_at IS NULL ORDER BY q.id
ON CONFLICT (quota_id, window_start) DO UPDATE SET "limit" = excluded."limit"
RETURNING quota_id, used, "limit"
"""
_SETTLE = """
WITH gone AS MATERIALIZED (
  DELETE FROM policy_quotahold h USING policy_quota q
  WHERE h.holder = %(holder)s AND q.id = h.quota_id
  RETURNING h.quota_id, h.window_start, CASE q.metric
    WHEN 'tokens' THEN %(tokens)s::numeric
    WHEN 'cpu_seconds' THEN h.spent + %(cpu)s::numeric
    ELSE 0 END - h.amount AS change
), locked AS MATERIALIZED (
  SELECT u.id FROM policy_quotause u
  JOIN gone g ON g.quota_id = u.quota_id AND g.window_start = u.window_start
  ORDER BY u.quota_id FOR UPDATE OF u
)
UPDATE policy_quotause u SET used = u.used + g.change FROM gone g, locked l
WHERE u.id = l.id AND g.quota_id = u.quota_id AND g.window_start = u.window_start
"""


def limits_of(*, team_id: int, environment: str) -> tuple[Limit, ...]:
    """Every quota that may cover acts of this team there, those of its keys too."""
    rows = (
        Quota.objects.live()
        .filter(
            Q(team=None) | Q(team_id=team_id),
            Q(environment=None) | Q(environment__slug=environment),
            Q(key=None) | Q(key__service_account__team_id=team_id),
        )
        .select_related("team", "key", "environment")
        .order_by("pk")
    )
    return tuple(row.as_limit() for row in rows)


def reserve_call(*, limits: Sequence[Limit], at: datetime) -> None:
    """Count a call against all of ``limits``, which cover it, or against none.

    Runs inside the caller's transaction, which a refusal has to roll back. Raises
    QuotaExceeded.
    """
    _reserve([ask_of(limit, _ONE_CALL, at=at) for limit in limits], at=at)


def reserve_run(
    *,
    limits: Sequence[Limit],
    key_id: int | None,
    holder: str,
    wants: Sequence[Want],
    at: datetime,
) -> None:
    """Count a run, and let it hold what ``wants`` say until it is settled.

    Runs inside the caller's transaction. Raises QuotaExceeded.
    """
    _reserve(asks(limits, wants, at=at, key_id=key_id), at=at, holder=holder)


def _reserve(wanted: Sequence[Ask], *, at: datetime, holder: str = "") -> None:
    if not wanted:
        return
    amounts = [ask.want.amount for ask in wanted]
    if any(ask.want.least is not None for ask in wanted):
        wanted, amounts = _what_is_left(wanted, at)
    refused = _take(wanted, amounts, holder)
    if refused:
        used = _used(wanted, refused)
        raise _exceeded(
            [
                ask.refusal(
                    used=used.get(ask.limit.id, Decimal(0)),
                    limit=refused[ask.limit.id],
                    at=at,
                )
                for ask in wanted
                if ask.limit.id in refused
            ]
        )


def _what_is_left(
    wanted: Sequence[Ask], at: datetime
) -> tuple[list[Ask], list[Decimal]]:
    """The asks still in force with what each is granted. Raises QuotaExceeded."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOK, _places(wanted))
        found = {row[0]: (row[1], int(row[2])) for row in cursor.fetchall()}
    live = [ask for ask in wanted if ask.limit.id in found]
    granted, refusals = [], []
    for ask in live:
        used, limit = found[ask.limit.id]
        amount = ask.granted(used=used, limit=limit)
        if amount is None:
            refusals.append(ask.refusal(used=used, limit=limit, at=at))
        else:
            granted.append(amount)
    if refusals:
        raise _exceeded(refusals)
    return live, granted


def _take(
    wanted: Sequence[Ask], amounts: Sequence[Decimal], holder: str
) -> dict[int, int]:
    """Count every amount; the limits of the quotas that refused."""
    held = [bool(holder) and ask.limit.metric in HELD for ask in wanted]
    values: dict[str, Any] = {
        "amounts": list(amounts),
        "held": held,
        "holder": holder,
        **_places(wanted),
    }
    with prepared_cursor() as cursor:
        cursor.execute(_TAKE, values)
        return {quota: int(limit) for quota, limit in cursor.fetchall()}


def _places(wanted: Sequence[Ask]) -> dict[str, list[Any]]:
    return {
        "quotas": [ask.limit.id for ask in wanted],
        "starts": [ask.start for ask in wanted],
    }


def _used(wanted: Sequence[Ask], refused: dict[int, int]) -> dict[int, Decimal]:
    starts = {ask.start for ask in wanted if ask.limit.id in refused}
    rows = QuotaUse.objects.filter(quota__in=refused, window_start__in=starts)
    return dict(rows.values_list("quota_id", "used"))


def _exceeded(refusals: list[dict[str, Any]]) -> QuotaExceeded:
    """The error for the quota that lasts longest: before it resets, none helps."""
    worst = max(refusals, key=_lasts)
    resets = worst["resets_at"]
    if worst["retry_after"] is None:
        then = "it allows less than this needs"
    elif resets is None:
        then = "a run has to end first"
    else:
        then = f"it resets at {datetime.fromisoformat(resets):%Y-%m-%d %H:%M} UTC"
    value = amount_words(worst["metric"], worst["limit"], worst["window"])
    return QuotaExceeded(
        f"The quota of {value} ({worst['scope']}) is used up; {then}. "
        "Wait, or ask an administrator to raise it.",
        details=worst,
    )


def _lasts(refusal: dict[str, Any]) -> tuple[bool, int, int]:
    retry = refusal["retry_after"]
    return retry is None, retry or 0, -refusal["quota"]


def settle(*, holder: str, tokens: int, cpu_seconds: float) -> None:
    """Replace what a run held by what it used; a second time changes nothing.

    Runs inside the transaction that ends the run, as its last lock. What was used
    beyond the reservation is counted too, even where that passes the limit.
    """
    cpu = _exact(cpu_seconds)
    with prepared_cursor() as cursor:
        cursor.execute(_SETTLE, {"holder": holder, "tokens": tokens, "cpu": cpu})


def _exact(seconds: float) -> Decimal:
    return Decimal(seconds).quantize(_CENT)


def park(*, holder: str, cpu_seconds: float) -> None:
    """A run that waits for a person is no run at once, but keeps its other holds."""
    holds = QuotaHold.objects.filter(holder=holder)
    spent = holds.filter(quota__metric=CPU)
    for hold in spent.select_for_update().order_by("quota_id"):
        hold.spent += _exact(cpu_seconds)
        hold.save(update_fields=["spent"])
    running = holds.filter(quota__metric=CONCURRENT, amount__gt=0)
    for hold in running.select_for_update().order_by("quota_id"):
        use = QuotaUse.objects.select_for_update().get(
            quota_id=hold.quota_id, window_start=hold.window_start
        )
        use.used -= hold.amount
        use.save(update_fields=["used"])
        QuotaHold.objects.filter(pk=hold.pk).update(amount=0)


def resume(*, holder: str) -> bool:
    """Count a parked run as running again; False while there is no room for it."""
    parked = QuotaHold.objects.filter(
        holder=holder, quota__metric=CONCURRENT, amount=0
    ).order_by("quota_id")
    wanted = [
        Ask(Limit(hold.quota_id, CONCURRENT, AT_ONCE, 0), hold.window_start, None, _ONE)
        for hold in parked
    ]
    if not wanted:
        return True
    point = transaction.savepoint()
    refused = _take(wanted, [ask.want.amount for ask in wanted], holder)
    if refused:
        transaction.savepoint_rollback(point)
        return False
    transaction.savepoint_commit(point)
    return True


def cpu_held(*, holder: str) -> float | None:
    """CPU-seconds that a run may use at most by what it holds; None: no quota says."""
    amounts = QuotaHold.objects.filter(holder=holder, quota__metric=CPU)
    least = min(amounts.values_list("amount", flat=True), default=None)
    return None if least is None else float(least)


def note_refusal(
    details: Mapping[str, Any], *, principal: Principal, event: Event
) -> None:
    """Remember for the quota's page what the trail holds of its refusal.

    Outside any transaction, like the refusal's own event; any other is left alone.
    """
    if "quota" not in details:
        return
    QuotaRefusal.objects.create(
        quota_id=details["quota"],
        at=event.at,
        principal=principal.label[:200],
        team=principal.team,
        key=principal.key,
        environment=principal.environment,
        tool=event.tool,
        run=event.run,
        event=event.uid,
    )
