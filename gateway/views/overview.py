"""The first page: headline figures, what waits for a person, recent runs."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET

from core.clock import now
from core.period import Period
from core.tables import chips
from finops.contexts import periods
from finops.forms import PeriodFilter
from finops.headlines import headlines, split
from finops.labels import FILTERS, of_period, runs_url
from finops.selectors.headline import headline_report, precision_of
from finops.selectors.reports import series
from gateway.selectors.overview import (
    first_steps,
    open_first_runs,
    recent_runs,
    todo,
)
from policy.access import COSTS_READ, RUNS_READ
from policy.web import Request


@require_GET
def overview(request: Request) -> HttpResponse:
    """How the agents' work goes in the teams this person belongs to."""
    access = request.access
    form = PeriodFilter(
        request.GET,
        access=access,
        zone=settings.REPORT_TIME_ZONE,
        capability=RUNS_READ,
    )
    if not form.is_valid():
        return render(request, "overview/overview.html", {"form": form}, status=422)
    at = now()
    scope, period = form.scope, form.window(at=at)
    reports = [headline_report(scope, one) for one in (period, period.previous)]
    found, before = (report.total for report in reports)
    chosen = {name: request.GET.get(name, "") for name in form.fields}
    cards = headlines(
        found,
        before,
        series(scope, period),
        unit=period.unit,
        pending=open_first_runs(scope),
    )
    may_cost = access.may(COSTS_READ)
    context: dict[str, Any] = {
        "form": form,
        "period": period,
        "periods": periods(chosen, form.preset),
        "chips": chips(request, FILTERS),
        "figures": found,
        "precision": precision_of(*reports),
        "headlines": [
            (card, _link(card.key, chosen, period))
            for card in cards
            if card.key != "cost" or may_cost
        ],
        "split": split(found),
        "runs_url": runs_url(chosen, period) or reverse("runs"),
        "todo": todo(access, at=at),
        "steps": first_steps(access) if not found.runs else (),
        "recent": recent_runs(access, scope),
        "may_cost": may_cost,
        "all_teams": form.teams is None,
        "at": at,
    }
    return render(request, "overview/overview.html", context)


def _link(key: str, chosen: dict[str, str], period: Period) -> tuple[str, str]:
    """Where the rows behind a headline figure are, and what to call it."""
    if key == "cost":
        kept = {name: value for name, value in chosen.items() if value}
        query = {**kept, **(of_period(period) if "period" not in kept else {})}
        return f"{reverse('costs')}?{urlencode(query)}", "Costs by team"
    names = ("team", "environment", "project", "mode")
    plain = {name: chosen.get(name, "") for name in names}
    if key == "first-try":
        return runs_url(plain, period, status="failed"), "Failed runs"
    return runs_url(plain, period), "Runs"
