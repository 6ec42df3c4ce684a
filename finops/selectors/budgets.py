"""Reads of budgets: what their windows hold now, and what became of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q, QuerySet

from audit.web import Rights
from core.errors import NotFound
from finops.budgeting.terms import Cover
from finops.budgeting.windows import Window
from finops.models import (
    Budget,
    BudgetAlert,
    BudgetHold,
    BudgetRefusal,
    BudgetUse,
    BudgetVersion,
    RunFact,
)
from finops.selectors.budget_days import daily, named, scope_of
from policy.access import COSTS_READ

NEAR = Decimal("0.8")
"""A budget without thresholds is near its end from this share on."""
STATES = ("stopped", "over", "near", "ok", "paused", "idle")
_MOST = 1000
_RUNS = 10


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """A budget with the figures of its present window; ``idle`` has none."""

    budget: Budget
    cover: Cover
    window: Window | None
    spent: Decimal
    held: Decimal
    limit: Decimal | None
    forecast: Decimal | None
    forecast_low: Decimal | None
    forecast_high: Decimal | None
    forecast_note: str

    @property
    def amount(self) -> Decimal:
        return self.budget.amount

    @property
    def currency(self) -> str:
        currency: str = settings.CURRENCY
        return currency

    @property
    def left(self) -> Decimal:
        """Of the amount, not of the grace beyond it."""
        return max(self.amount - self.spent - self.held, Decimal(0))

    @property
    def share(self) -> Decimal:
        """Spent, as a share of the amount."""
        if not self.amount:
            return Decimal(1)
        return self.spent / self.amount

    @property
    def percent(self) -> int:
        """The share spent, of which anything that is left keeps it below 100."""
        whole = int(self.share * 100)
        return min(whole, 99) if self.spent < self.amount else max(whole, 100)

    @property
    def held_percent(self) -> int:
        """What is spent and held together, at most 100."""
        if not self.amount:
            return 100
        return min(int((self.spent + self.held) * 100 / self.amount), 100)

    @property
    def threshold(self) -> int | None:
        """The highest threshold that is crossed."""
        crossed = [
            percent
            for percent in self.budget.thresholds
            if self.spent * 100 >= self.amount * percent
        ]
        return max(crossed, default=None)

    @property
    def state(self) -> str:
        """One of STATES."""
        if self.window is None:
            return "idle"
        if self.budget.paused:
            return "paused"
        if self.limit is not None and self.spent + self.held >= self.limit:
            return "stopped"
        if self.spent >= self.amount:
            return "over"
        near = self.threshold is not None or (
            not self.budget.thresholds and self.share >= NEAR
        )
        return "near" if near else "ok"

    @property
    def passes(self) -> bool:
        """Whether the forecast is above the amount."""
        return self.forecast is not None and self.forecast > self.amount

    @property
    def last_day(self) -> date | None:
        """The last local day of the window."""
        days = self.cover.calendar.days(self.window) if self.window else []
        return days[-1] if days else None


def visible_budgets(access: Rights, capability: str = COSTS_READ) -> QuerySet[Budget]:
    """Budgets that this person may see: those of their teams, or all.

    Removed ones are among them.
    """
    budgets = Budget.objects.select_related(
        "team", "project__team", "key__service_account__team"
    )
    teams = access.teams_for(capability)
    if teams is None:
        return budgets
    return budgets.filter(_of_teams(teams))


def _of_teams(teams: Iterable[str]) -> Q:
    return (
        Q(team__slug__in=teams)
        | Q(project__team__slug__in=teams)
        | Q(key__service_account__team__slug__in=teams)
    )


def of_team(budgets: QuerySet[Budget], team: str) -> QuerySet[Budget]:
    """Those of one team, its projects and keys."""
    return budgets.filter(_of_teams([team]))


def lines(budgets: QuerySet[Budget], *, at: datetime) -> list[BudgetLine]:
    """Budgets with what is spent of them now, the fullest first; two queries."""
    found = list(budgets.order_by("pk")[:_MOST])
    uses = {
        use.budget_id: use
        for use in BudgetUse.objects.filter(
            budget__in=[one.pk for one in found],
            window_start__lte=at,
            window_end__gt=at,
        )
    }
    made = [_line(budget, uses.get(budget.pk), at) for budget in found]
    return sorted(made, key=lambda line: (-line.share, line.budget.pk))


def line_of(budget: Budget, *, at: datetime) -> BudgetLine:
    """One budget with the figures of its present window; one query."""
    uses = BudgetUse.objects.filter(
        budget=budget, window_start__lte=at, window_end__gt=at
    )
    return _line(budget, uses.first(), at)


def _line(budget: Budget, use: BudgetUse | None, at: datetime) -> BudgetLine:
    cover = budget.as_cover()
    return BudgetLine(
        budget=budget,
        cover=cover,
        window=None if budget.removed_at else cover.calendar.at(at),
        spent=use.spent if use else Decimal(0),
        held=use.held if use else Decimal(0),
        limit=limit_of(budget, at=at),
        forecast=use.forecast if use else None,
        forecast_low=use.forecast_low if use else None,
        forecast_high=use.forecast_high if use else None,
        forecast_note=use.forecast_note if use else "",
    )


def limit_of(budget: Budget, *, at: datetime) -> Decimal | None:
    """Where it stops: amount and grace; None where nothing is refused."""
    if not budget.hard or budget.paused:
        return None
    if budget.grace_until is not None and at >= budget.grace_until:
        return budget.amount
    percent = budget.grace_percent or Decimal(0)
    grace = budget.grace_amount or budget.amount * percent / 100
    return budget.amount + grace


def budget_for(access: Rights, uid: str, capability: str = COSTS_READ) -> Budget:
    """The budget, if this person may see it; removed ones too. Raises NotFound."""
    budget = visible_budgets(access, capability).filter(uid=uid).first()
    if budget is None:
        raise NotFound("There is no such budget.")
    return budget


def pressing(access: Rights, *, at: datetime) -> int:
    """How many budgets that this person may see are stopped, over or near it."""
    shown = lines(visible_budgets(access).filter(removed_at=None), at=at)
    return sum(line.state in ("stopped", "over", "near") for line in shown)


@dataclass(frozen=True, slots=True)
class Day:
    """A local day of a window: what it cost, and what the window had cost by its end.

    ``total`` is None for a day that is still to come.
    """

    day: date
    cost: Decimal
    total: Decimal | None
    amount: Decimal


def days_of(line: BudgetLine, *, at: datetime) -> list[Day]:
    """Days of the present window, with the amount that held on each; two queries."""
    if line.window is None:
        return []
    calendar = line.cover.calendar
    days = calendar.days(line.window)
    today = at.astimezone(ZoneInfo(calendar.zone)).date()
    costs = daily(line.cover, first=days[0], last=min(today, days[-1]), until=at)
    amounts = _amounts(line)
    found, total = [], Decimal(0)
    for day in days:
        total += costs.get(day, Decimal(0))
        ends = calendar.midnight(day)
        held = [amount for since, amount in amounts if since.date() <= day]
        found.append(
            Day(
                day,
                costs.get(day, Decimal(0)),
                total if day <= today and ends <= at else None,
                held[-1] if held else amounts[0][1] if amounts else line.amount,
            )
        )
    return found


def _amounts(line: BudgetLine) -> Sequence[tuple[datetime, Decimal]]:
    """Since when which amount held, in the zone of the budget."""
    zone = ZoneInfo(line.cover.calendar.zone)
    rows = versions(line.budget).order_by("number").values_list("at", "amount")
    return [(at.astimezone(zone), amount) for at, amount in rows]


def versions(budget: Budget) -> QuerySet[BudgetVersion]:
    """Its terms over time, the newest first."""
    return BudgetVersion.objects.filter(budget=budget).order_by("-number")


def refusals(budget: Budget) -> QuerySet[BudgetRefusal]:
    """Who met its hard stop."""
    return BudgetRefusal.objects.filter(budget=budget)


def alerts(budget: Budget) -> QuerySet[BudgetAlert]:
    """What people were told of it."""
    return BudgetAlert.objects.filter(budget=budget)


def holds(budget: Budget) -> QuerySet[BudgetHold]:
    """What is held of it now, the largest first."""
    return BudgetHold.objects.filter(budget=budget).order_by("-amount", "pk")


def past_windows(budget: Budget, *, at: datetime) -> QuerySet[BudgetUse]:
    """Windows that are over, the newest first."""
    uses = BudgetUse.objects.filter(budget=budget, window_end__lte=at)
    return uses.order_by("-window_start")


def dearest_runs(line: BudgetLine) -> list[RunFact]:
    """The runs of the present window that cost most; one query."""
    if line.window is None:
        return []
    cover = line.cover
    text = scope_of(cover, "f").replace("AND f.key = %(key)s", _BY_KEY)
    values = named(cover) | {
        "start": line.window.start,
        "end": line.window.end,
        "most": _RUNS,
    }
    return list(RunFact.objects.raw(_DEAREST.replace("{scope}", text), values))


_BY_KEY = """AND EXISTS (SELECT FROM finops_usageevent u
  WHERE u.run = f.run AND u.key = %(key)s)"""
_DEAREST = """
SELECT f.* FROM finops_runfact f
WHERE f.ended_at >= %(start)s AND f.ended_at < %(end)s {scope}
ORDER BY f.cost DESC, f.id DESC LIMIT %(most)s
"""


def reservations(run: str, access: Rights) -> list[BudgetHold]:
    """What a run holds of the budgets that this person may see; one query."""
    found = BudgetHold.objects.filter(
        holder=run, budget__in=visible_budgets(access).order_by().values("pk")
    )
    return list(found.select_related("budget").order_by("budget_id"))


def counts(shown: Iterable[BudgetLine]) -> Mapping[str, int]:
    """How many lines are in each state."""
    found = dict.fromkeys(STATES, 0)
    for line in shown:
        found[line.state] += 1
    return found
