"""Brings what budgets count to what the ledger says, and what a run is expected to."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection

from finops.budgeting.terms import EXPECTED_SHARE, LEAST_RESERVED, Cover
from finops.budgeting.windows import Window
from finops.models import Budget, BudgetUse
from finops.selectors.budget_days import named, scope_of
from finops.services.budgets import current_budgets

LATE = timedelta(days=35)
"""For how long after its end a window is still brought to what the ledger says."""
RECENT = timedelta(days=30)
ENOUGH_RUNS = 20
_MOST_RUNS = 500
_MAKE = """
INSERT INTO finops_budgetuse
  (budget_id, window_start, window_end, spent, held, corrections)
VALUES (%(budget)s, %(start)s, %(end)s, 0, 0, 0)
ON CONFLICT (budget_id, window_start) DO NOTHING
"""
# One snapshot sees a booking and its count both or neither: the difference is what was
# booked without being counted, however many runs settle meanwhile. So the long sum
# needs no lock; the number of corrections keeps two from being made of one difference.
_DRIFT = """
SELECT u.id, u.corrections, coalesce((
  SELECT sum(l.cost) FROM finops_usageevent l
  WHERE l.at >= u.window_start AND l.at < u.window_end AND l.currency = %(currency)s
  {scope}), 0) - u.spent
FROM finops_budgetuse u
WHERE u.budget_id = %(budget)s AND u.window_start = %(start)s
"""
_CORRECT = """
UPDATE finops_budgetuse SET spent = spent + %(drift)s, reconciled_at = %(at)s,
  corrections = corrections + CASE WHEN %(drift)s = 0 THEN 0 ELSE 1 END
WHERE id = %(use)s AND corrections = %(seen)s
"""
_COSTS = """
SELECT count(*), percentile_cont(0.95) WITHIN GROUP (ORDER BY cost) FROM (
  SELECT f.cost FROM finops_runfact f
  WHERE f.ended_at >= %(since)s AND f.currency = %(currency)s {scope}
  ORDER BY f.ended_at DESC LIMIT %(most)s) AS recent
"""

_BY_KEY = """AND EXISTS (
  SELECT FROM finops_usageevent u WHERE u.run = f.run AND u.key = %(key)s)"""


def reconcile(*, cover: Cover, window: Window, at: datetime) -> Decimal:
    """Bring one window to the ledger's sum; by how much it was changed."""
    values: dict[str, Any] = {
        "budget": cover.id,
        "start": window.start,
        "end": window.end,
        "currency": settings.CURRENCY,
        **named(cover),
    }
    with connection.cursor() as cursor:
        cursor.execute(_MAKE, values)
        cursor.execute(_DRIFT.replace("{scope}", scope_of(cover, "l")), values)
        use, seen, drift = cursor.fetchone()
        cursor.execute(_CORRECT, {"use": use, "seen": seen, "drift": drift, "at": at})
        return Decimal(drift) if cursor.rowcount else Decimal(0)


def reconcile_all(*, at: datetime) -> int:
    """Bring every present and lately ended window to the ledger; how many changed.

    Safe to run twice, also at once.
    """
    changed = 0
    for cover in current_budgets():
        for window in _due(cover, at):
            changed += bool(reconcile(cover=cover, window=window, at=at))
        expect(cover=cover, at=at)
    return changed


def _due(cover: Cover, at: datetime) -> Sequence[Window]:
    """The present window, and those whose late usage may still come in."""
    present = cover.calendar.at(at)
    late = BudgetUse.objects.filter(
        budget_id=cover.id, window_end__lte=at, window_end__gt=at - LATE
    )
    ended = [
        Window(start, end)
        for start, end in late.values_list("window_start", "window_end")
    ]
    return [*ended, present] if present else ended


def expect(*, cover: Cover, at: datetime) -> Decimal:
    """Work out what a run under this budget is expected to cost, and keep it.

    It is what 95 of 100 recent runs of the scope cost at most; while fewer than 20 are
    known, a hundredth of the amount. Never 0, or any number of runs would fit.
    """
    values: dict[str, Any] = {
        "since": at - RECENT,
        "currency": settings.CURRENCY,
        "most": _MOST_RUNS,
        **named(cover),
    }
    with connection.cursor() as cursor:
        cursor.execute(_COSTS.replace("{scope}", _runs_of(cover)), values)
        runs, p95 = cursor.fetchone()
    amount = Budget.objects.values_list("amount", flat=True).get(pk=cover.id)
    # The percentile is of double precision: its digits beyond 12 places are noise.
    found = Decimal(str(p95)) if runs >= ENOUGH_RUNS else amount * EXPECTED_SHARE
    expected = max(round(found, 12), LEAST_RESERVED)
    Budget.objects.filter(pk=cover.id).exclude(expected=expected).update(
        expected=expected
    )
    return expected


def _runs_of(cover: Cover) -> str:
    """Conditions on run facts; a key's runs are found by their usage."""
    terms = scope_of(replace(cover, key=""), "f")
    return f"{terms} {_BY_KEY}" if cover.key else terms
