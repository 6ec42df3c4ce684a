"""One statement: its lines, each down to its runs and worked out again; accepting."""

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from audit.history import history_of
from audit.services.exports import export
from core.clock import now
from core.errors import NotFound, TollgateError
from core.forms import attempt, posted
from core.money import plain, trimmed
from core.tables import chips, filters_of, paged
from finops.chargeback.statement import CATEGORIES
from finops.chargeback_forms import DisputeForm
from finops.models import Dispute, Statement, StatementLine
from finops.selectors import chargeback as selectors
from finops.selectors.recompute import recompute, runs_of
from finops.services import closing, disputes
from policy.access import CHARGEBACK_DISPUTE, COSTS_READ
from policy.web import Request, actor_of, refuse, requires

_COLUMNS = (
    "number",
    "category",
    "team",
    "cost_centre",
    "project",
    "environment",
    "sku",
    "unit",
    "quantity",
    "cost",
    "billed",
    "charge_month",
    "rule",
    "rule_version",
    "ratio",
    "reason",
    "key",
)
_LABELS = {
    "category": "Category",
    "team": "Team",
    "project": "Project",
    "environment": "Environment",
    "sku": "SKU",
}


@require_safe
@requires(COSTS_READ)
def statement(request: Request, uid: str) -> HttpResponseBase:
    """A statement with its lines."""
    found = selectors.statement_for(request.access, uid)
    lines = _filtered(request, found)
    if form := request.GET.get("export"):
        return export(
            name=f"statement-{found.period}-{found.pk}",
            form=form,
            columns=_COLUMNS,
            rows=map(_cells, lines.iterator(chunk_size=500)),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    return _page(request, found, lines)


def _cells(line: StatementLine) -> list[object]:
    found = (getattr(line, name) for name in _COLUMNS)
    return [trimmed(one) if isinstance(one, Decimal) else one for one in found]


@require_POST
@requires(CHARGEBACK_DISPUTE)
def statement_accept(request: Request, uid: str) -> HttpResponse:
    """Agree to a statement as it was read."""
    found = selectors.statement_for(request.access, uid, CHARGEBACK_DISPUTE)
    try:
        closing.accept(
            uid=found.uid,
            content=request.POST.get("content", ""),
            actor=actor_of(request),
            at=now(),
        )
    except TollgateError as error:
        if error.status >= 500:
            raise
        lines = _filtered(request, found)
        return _page(request, found, lines, status=422, fault=error.message)
    messages.success(request, "The statement is accepted.")
    return redirect("statement", uid)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_READ)
def statement_line(request: Request, uid: str, key: str) -> HttpResponse:
    """A line worked out again from its rows, with its runs; disputing it."""
    found = selectors.statement_for(request.access, uid)
    line = found.lines.filter(key=key).select_related("price").first()
    if line is None:
        raise NotFound("The statement has no such line any more: look at it again.")
    line.statement = found
    form = DisputeForm(posted(request))
    made: list[Dispute] = []
    if request.method == "POST":
        if not selectors.may_dispute(request.access, found):
            raise refuse(request, needed=CHARGEBACK_DISPUTE)
        if attempt(form, lambda: made.append(_open(request, found, key, form))):
            messages.success(request, "The line is disputed.")
            return redirect("dispute", made[0].uid)
    status = 422 if request.method == "POST" else 200
    context = _line_context(request, found, line) | {"form": form}
    return render(request, "chargeback/line.html", context, status=status)


def _open(request: Request, found: Statement, key: str, form: DisputeForm) -> Dispute:
    return disputes.open_dispute(
        uid=found.uid,
        key=key,
        reason=form.cleaned_data["reason"],
        runs=form.cleaned_data["runs"].split(),
        actor=actor_of(request),
        at=now(),
    )


def _line_context(
    request: Request, found: Statement, line: StatementLine
) -> dict[str, Any]:
    again = recompute(line)
    teams = request.access.teams_for(COSTS_READ)
    sees_runs = teams is None or line.team in teams
    return {
        "statement": found,
        "period": found.period,
        "line": line,
        "again": again,
        "runs": runs_of(line) if again.found and sees_runs else [],
        "sees_runs": sees_runs,
        "disputes": found.disputes.filter(key=line.key).order_by("-pk"),
        "may_dispute": found.state != Statement.State.DRAFT
        and selectors.may_dispute(request.access, found),
        "at": now(),
    }


def _filtered(request: Request, found: Statement) -> QuerySet[StatementLine]:
    lines = found.lines.order_by("number")
    for name in _LABELS:
        if value := request.GET.get(name, "")[:200]:
            lines = (
                lines.filter(sku__startswith=value[:-1])
                if name == "sku" and value.endswith("*")
                else lines.filter(**{name: value})
            )
    return lines


def _page(
    request: Request,
    found: Statement,
    lines: QuerySet[StatementLine],
    *,
    status: int = 200,
    fault: str = "",
) -> HttpResponse:
    page = paged(lines, request)
    threads = found.disputes.order_by("-pk")
    context = {
        "statement": found,
        "period": found.period,
        "page": page,
        "sums": _by_category(found),
        "chips": chips(request, _LABELS),
        "categories": CATEGORIES,
        "teams": _values(found, "team"),
        "disputes": threads,
        "disputed": {one.key for one in threads if one.state == Dispute.State.OPEN},
        "may_accept": found.state == Statement.State.REVIEW
        and selectors.may_dispute(request.access, found),
        "fault": fault,
        "everywhere": request.access.everywhere(COSTS_READ),
        "exact": plain(found.cost),
        "at": now(),
        **history_of(request.access, "statement", found.uid),
    }
    return render(request, "chargeback/statement.html", context, status=status)


def _by_category(found: Statement) -> list[tuple[str, Any, int]]:
    """What each category comes to, as they follow one another."""
    sums = {row[0]: row for row in selectors.by_category(found)}
    return [sums[name] for name in CATEGORIES if name in sums]


def _values(found: Statement, name: str) -> list[str]:
    values = found.lines.exclude(**{name: ""}).order_by(name)
    return list(values.values_list(name, flat=True).distinct())
