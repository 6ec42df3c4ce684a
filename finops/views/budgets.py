"""Budgets: what is spent, held and forecast of each, and their changes."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_safe,
)

from audit.history import history_of
from audit.services.exports import export
from core.clock import now
from core.forms import attempt, posted
from core.tables import chips, filters_of, keyset, paged
from finops.budget_forms import (
    SCOPES,
    STATES,
    BudgetForm,
    ReasonForm,
    TermsForm,
    initial_of,
)
from finops.budgeting.figure import figure
from finops.budgeting.terms import plain
from finops.models import Budget
from finops.selectors import budgets as selectors
from finops.selectors.budgets import BudgetLine
from finops.services import budget_changes
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.models import Team
from policy.web import Request, actor_of, requires

_COLUMNS = (
    "budget",
    "name",
    "team",
    "project",
    "key",
    "model",
    "currency",
    "amount",
    "spent",
    "held",
    "left",
    "limit",
    "state",
    "forecast",
    "forecast_low",
    "forecast_high",
    "window_start",
    "window_end",
)
_LABELS = {"team": "Team", "scope": "Counts", "state": "State", "model": "Model"}
_PRESSING = ("stopped", "over", "near")
_REFUSALS = 20
_ALERTS = 20
_PAST = 13


@require_safe
@requires(COSTS_READ)
def budget_list(request: Request) -> HttpResponseBase:
    """Budgets that this person may see, the fullest first."""
    at = now()
    found = _filtered(request)
    if form := request.GET.get("export"):
        return export(
            name="budgets",
            form=form,
            columns=_COLUMNS,
            rows=map(_cells, found),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    page = paged(found, request)
    context = {
        "page": page,
        "rows": list(page),
        "chips": chips(request, _LABELS),
        "teams": _teams(request),
        "scopes": SCOPES,
        "states": STATES,
        "may_change": request.access.may(COSTS_ADMIN),
        "zone": settings.REPORT_TIME_ZONE,
        "at": at,
    }
    return render(request, "budgets/budgets.html", context)


def _teams(request: Request) -> QuerySet[Team]:
    slugs = request.access.teams_for(COSTS_READ)
    teams = Team.objects.order_by("name")
    return teams if slugs is None else teams.filter(slug__in=slugs)


def _filtered(request: Request) -> list[BudgetLine]:
    chosen = request.GET
    budgets = selectors.visible_budgets(request.access)
    budgets = budgets.filter(removed_at__isnull=chosen.get("state") != "removed")
    if team := chosen.get("team"):
        budgets = selectors.of_team(budgets, team)
    if (scope := chosen.get("scope")) in dict(SCOPES):
        names = ("team", "project", "key")
        if scope == "organization":
            budgets = budgets.filter(team=None, project=None, key=None, model="")
        elif scope == "model":
            budgets = budgets.exclude(model="")
        elif scope in names:
            budgets = budgets.filter(**{f"{scope}__isnull": False})
    if model := chosen.get("model"):
        budgets = budgets.filter(model=model)
    found = selectors.lines(budgets, at=now())
    state = chosen.get("state", "")
    if state == "pressing":
        return [line for line in found if line.state in _PRESSING]
    if state in selectors.STATES:
        return [line for line in found if line.state == state]
    return found


def _cells(line: BudgetLine) -> list[object]:
    """A budget as a row of an export."""
    cover, window = line.cover, line.window
    amounts = (line.forecast, line.forecast_low, line.forecast_high)
    return [
        line.budget.uid,
        line.budget.name,
        cover.team,
        cover.project,
        cover.key,
        cover.model,
        line.currency,
        plain(line.amount),
        plain(line.spent),
        plain(line.held),
        plain(line.left),
        "" if line.limit is None else plain(line.limit),
        line.state,
        *("" if amount is None else plain(amount) for amount in amounts),
        window and window.start,
        window and window.end,
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def budget_add(request: Request) -> HttpResponse:
    """A new budget; the address may name its scope."""
    names = ("team", "project", "key", "model")
    initial = {name: request.GET[name] for name in names if name in request.GET}
    form = BudgetForm(posted(request), initial=initial)
    made: list[Budget] = []
    if request.method == "POST" and attempt(
        form, lambda: made.append(_set(request, form))
    ):
        messages.success(request, "The budget was set; it holds from the next run on.")
        return redirect("budget", made[0].uid)
    status = 422 if request.method == "POST" else 200
    return render(request, "budgets/budget_add.html", {"form": form}, status=status)


def _set(request: Request, form: BudgetForm) -> Budget:
    return budget_changes.set_budget(
        scope=form.scope,
        terms=form.terms(),
        reason=form.cleaned_data["reason"],
        actor=actor_of(request),
        at=now(),
    )


@require_safe
@requires(COSTS_READ)
def budget(request: Request, uid: str) -> HttpResponseBase:
    """One budget: its window day by day, its forecast, and what it refused."""
    found = selectors.budget_for(request.access, uid)
    if form := request.GET.get("export"):
        at = now()
        days = selectors.days_of(selectors.line_of(found, at=at), at=at)
        return export(
            name=f"budget-{found.uid}",
            form=form,
            columns=("day", "cost", "total", "amount"),
            rows=(
                [
                    day.day.isoformat(),
                    plain(day.cost),
                    "" if day.total is None else plain(day.total),
                    plain(day.amount),
                ]
                for day in days
            ),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    at = now()
    line = selectors.line_of(found, at=at)
    days = selectors.days_of(line, at=at)
    context = {
        "line": line,
        "days": days,
        "figure": _figure(line, days) if days else None,
        "runs": selectors.dearest_runs(line),
        "holds": selectors.holds(found)[:_ALERTS],
        "past": selectors.past_windows(found, at=at)[:_PAST],
        "versions": selectors.versions(found)[:_ALERTS],
        "refusals": keyset(selectors.refusals(found), request, size=_REFUSALS),
        "alerts": selectors.alerts(found).order_by("-pk")[:_ALERTS],
        "told": found.channels.order_by("name"),
        "may_change": not found.removed_at and request.access.may(COSTS_ADMIN),
        **history_of(request.access, "budget", found.uid),
        "zone": line.cover.calendar.zone,
        "at": at,
    }
    return render(request, "budgets/budget.html", context)


def _figure(line: BudgetLine, days: list[selectors.Day]) -> dict[str, Any]:
    return figure(
        days,
        currency=line.currency,
        limit=line.limit,
        forecast=line.forecast,
        low=line.forecast_low,
        high=line.forecast_high,
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def budget_change(request: Request, uid: str) -> HttpResponse:
    """Give a budget other terms."""
    found = selectors.budget_for(request.access, uid, COSTS_ADMIN)
    form = TermsForm(posted(request), initial=initial_of(found))
    if request.method == "POST" and attempt(
        form, lambda: _change(request, form, found)
    ):
        messages.success(request, "The budget was changed; it holds at once.")
        return redirect("budget", found.uid)
    status = 422 if request.method == "POST" else 200
    line = selectors.line_of(found, at=now())
    context = {"form": form, "line": line}
    return render(request, "budgets/budget_change.html", context, status=status)


def _change(request: Request, form: TermsForm, found: Budget) -> Budget:
    return budget_changes.change_budget(
        uid=found.uid,
        terms=form.terms(of=found),
        reason=form.cleaned_data["reason"],
        actor=actor_of(request),
        at=now(),
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def budget_pause(request: Request, uid: str) -> HttpResponse:
    """Let a budget rest, or let one that rests hold again."""
    found = selectors.budget_for(request.access, uid, COSTS_ADMIN)
    form = ReasonForm(posted(request))
    if request.method == "POST" and attempt(
        form, lambda: _pause(request, form, found, paused="resume" not in request.POST)
    ):
        return redirect("budget", found.uid)
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "line": selectors.line_of(found, at=now())}
    return render(request, "budgets/budget_pause.html", context, status=status)


def _pause(request: Request, form: ReasonForm, found: Budget, *, paused: bool) -> None:
    budget_changes.change_budget(
        uid=found.uid,
        terms=replace(budget_changes.terms_of(found), paused=paused),
        reason=form.cleaned_data["reason"],
        actor=actor_of(request),
        at=now(),
    )
    messages.success(
        request,
        "The budget is paused: it counts on, refuses nothing and tells nobody."
        if paused
        else "The budget holds again, at once.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def budget_remove(request: Request, uid: str) -> HttpResponse:
    """Take a budget out of force; its page stays."""
    found = selectors.budget_for(request.access, uid, COSTS_ADMIN)
    form = ReasonForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: budget_changes.remove_budget(
            uid=found.uid, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The budget was removed. Its history stays.")
        return redirect("budgets")
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "line": selectors.line_of(found, at=now())}
    return render(request, "budgets/budget_remove.html", context, status=status)
