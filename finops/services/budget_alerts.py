"""Forecasts budgets and tells people, once, of what needs a look."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from audit.actor import SYSTEM
from audit.services.record import record
from core.ids import new_id
from core.money import show
from finops import events
from finops.budgeting.anomaly import WEEKS, anomaly
from finops.budgeting.forecast import forecast
from finops.budgeting.terms import Cover, plain
from finops.budgeting.windows import Window
from finops.models import Budget, BudgetAlert, BudgetRefusal, BudgetUse
from finops.selectors.budget_days import daily
from finops.services.budget_changes import target_of
from policy.routing import FINANCE, Audience
from policy.services import notify

Kind = BudgetAlert.Kind
TOLD = (Audience("role", FINANCE),)
"""Whom an e-mail without fixed addresses goes to."""
_WORTH_A_LOOK = Decimal("0.01")
"""Of the amount: a day that rose by less is no alarm."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to tell of a window; ``about`` tells those of one kind apart."""

    kind: str
    text: str
    about: str = ""
    figures: dict[str, Any] = field(default_factory=dict)


def watch_all(*, at: datetime) -> int:
    """Tell of thresholds crossed, hard stops reached and forecasts that pass.

    Safe to run twice, also at once: each is told once a window. Returns how many were
    told now.
    """
    uses = BudgetUse.objects.filter(
        window_start__lte=at,
        window_end__gt=at,
        budget__removed_at=None,
        budget__paused=False,
    ).select_related("budget__team", "budget__project__team", "budget__key")
    return sum(
        _told(use.budget, use.window_start, alert, at)
        for use in uses.order_by("pk")
        for alert in _due(use)
    )


def _due(use: BudgetUse) -> Iterable[Alert]:
    budget = use.budget
    figures = {"spent": plain(use.spent), "amount": plain(budget.amount)}
    spent = f"{_money(use.spent)} of {_money(budget.amount)} is spent"
    for percent in budget.thresholds:
        if use.spent * 100 >= budget.amount * percent:
            text = f"{percent} % is reached: {spent}."
            yield Alert(Kind.THRESHOLD, text, str(percent), figures)
    if budget.hard and (
        use.spent >= (use.limit if use.limit is not None else budget.amount)
        or BudgetRefusal.objects.filter(
            budget=budget, at__gte=use.window_start, at__lt=use.window_end
        ).exists()
    ):
        text = f"The hard stop is reached, and runs are refused: {spent}."
        yield Alert(Kind.STOPPED, text, figures=figures)
    if use.forecast is not None and use.forecast > budget.amount:
        text = (
            f"The forecast passes it: {_money(use.forecast)} by the window's end "
            f"({_money(use.forecast_low or use.forecast)} to "
            f"{_money(use.forecast_high or use.forecast)}). So far {spent}."
        )
        yield Alert(Kind.FORECAST, text, figures=figures)


def forecast_all(*, at: datetime) -> int:
    """Forecast each budget's present window, and tell of unusual days; how many."""
    told = 0
    budgets = Budget.objects.live().select_related("team", "project__team", "key")
    for budget in budgets.order_by("pk"):
        told += forecast_budget(budget, at=at)
    return told


def forecast_budget(budget: Budget, *, at: datetime) -> int:
    """Forecast one budget's window; tells of its unusual days, and how many."""
    cover = budget.as_cover()
    window = cover.calendar.at(at)
    if window is None:
        return 0
    today = at.astimezone(ZoneInfo(cover.calendar.zone)).date()
    first = today - (WEEKS * 7 + 1) * _DAY
    history = daily(cover, first=first, last=today, until=at)
    _forecast(cover, window, history, today, at)
    if budget.paused:
        return 0
    told = 0
    for day in (today - _DAY, today):
        # A day that is not over may be unusual already, never too cheap.
        found = anomaly(history, day, least=budget.amount * _WORTH_A_LOOK)
        if found:
            text = (
                f"{day:%Y-%m-%d} is unusually dear: {_money(found.cost)}, where such "
                f"a {day:%A} usually costs {_money(found.usual)} (score {found.score})."
            )
            figures = {"cost": plain(found.cost), "usual": plain(found.usual)}
            alert = Alert(Kind.ANOMALY, text, day.isoformat(), figures)
            told += _told(budget, window.start, alert, at)
    return told


def _forecast(
    cover: Cover,
    window: Window,
    history: dict[date, Decimal],
    today: date,
    at: datetime,
) -> None:
    uses = BudgetUse.objects.filter(budget_id=cover.id, window_start=window.start)
    spent = uses.values_list("spent", flat=True).first()
    begun, ends = (
        cover.calendar.midnight(today),
        cover.calendar.midnight(today + _DAY),
    )
    found = forecast(
        history,
        spent=spent or Decimal(0),
        today=today,
        elapsed=(at - begun) / (ends - begun),
        left=[day for day in cover.calendar.days(window) if day > today],
    )
    uses.update(
        forecast=found.expected,
        forecast_low=found.low,
        forecast_high=found.high,
        forecast_note=found.note,
        forecast_at=at,
    )


@transaction.atomic
def _told(budget: Budget, start: datetime, alert: Alert, at: datetime) -> bool:
    """Put an alert on record and write to whom it may concern; False if it was."""
    row, new = BudgetAlert.objects.get_or_create(
        budget=budget,
        window_start=start,
        kind=alert.kind,
        about=alert.about,
        defaults={
            "uid": new_id("alert"),
            "at": at,
            "text": alert.text[:400],
            "figures": alert.figures,
        },
    )
    if not new:
        return False
    team = budget.as_cover().team
    sent = notify.tell(
        notify.BUDGET,
        title=f"budget {budget.name}",
        text=f"{budget.name} ({budget.as_cover().scope}): {alert.text}",
        path=reverse("budget", kwargs={"uid": budget.uid}),
        data={
            "alert": row.uid,
            "kind": alert.kind,
            "about": alert.about,
            "budget": budget.uid,
            "name": budget.name,
            "currency": settings.CURRENCY,
            "window_start": start.isoformat(),
            **alert.figures,
        },
        audiences=TOLD,
        at=at,
        team=team,
        about=row.uid,
        chosen=budget.channels.all(),
    )
    record(
        events.BUDGET_ALERTED,
        actor=SYSTEM,
        at=at,
        target=target_of(budget),
        payload={
            "text": alert.text,
            "kind": alert.kind,
            "about": alert.about,
            "messages": sent,
        },
    )
    return True


def _money(amount: Decimal) -> str:
    return f"{show(amount)} {settings.CURRENCY}"
