"""Pages of calls whose outcome nobody knows: the list, one of them, the decision."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from audit.services.exports import MOST_ROWS, export
from core.clock import now
from core.errors import TollgateError
from core.tables import chips, filters_of, keyset
from gateway.hold_filters import OutcomeFilter
from gateway.hold_forms import OutcomeForm
from gateway.models import ToolCall
from gateway.selectors.outcomes import (
    OPEN,
    outcome_for,
    shown_outcome,
    shown_outcomes,
    state_of,
    visible_outcomes,
)
from gateway.services.holds import resolve
from policy.access import OUTCOMES_RESOLVE
from policy.web import Request, actor_of, requires

_SIZE = 20
_COLUMNS = (
    "call",
    "state",
    "tool",
    "run",
    "step",
    "team",
    "environment",
    "principal",
    "intent_at",
    "resolution",
    "resolved_by",
    "resolved_because",
)
_LABELS = {
    "state": "State",
    "team": "Team",
    "environment": "Environment",
    "tool": "Tool",
    "run": "Run",
}


@require_safe
@requires(OUTCOMES_RESOLVE)
def unknown_outcomes(request: Request) -> HttpResponseBase:
    """Writes that nobody saw the end of; those to decide are shown first."""
    at = now()
    filterset = OutcomeFilter(request.GET, queryset=visible_outcomes(request.access))
    found = filterset.qs if filterset.is_valid() else ToolCall.objects.none()
    if form := request.GET.get("export"):
        return export(
            name="unknown-outcomes",
            form=form,
            columns=_COLUMNS,
            rows=_rows(found.order_by("-pk")[:MOST_ROWS]),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    page = keyset(found, request, size=_SIZE)
    context = {
        "page": page,
        "rows": [(row, _form(row.call)) for row in shown_outcomes(page.rows, at=at)],
        "filter": filterset,
        "chips": chips(request, _LABELS),
        "at": at,
    }
    status = 200 if filterset.is_valid() else 422
    return render(request, "outcomes/outcomes.html", context, status=status)


def _form(call: ToolCall, data: Any = None) -> OutcomeForm:
    # Several forms stand on one page: their ids must differ.
    return OutcomeForm(data, auto_id=f"id_{call.pk}_%s")


def _rows(found: Iterable[ToolCall]) -> Iterator[list[Any]]:
    for call in found:
        yield [
            call.pk,
            state_of(call),
            call.tool,
            call.run.uid,
            call.step,
            call.run.team,
            call.run.environment,
            call.run.principal,
            call.intent_at,
            call.resolution,
            call.resolved_by,
            call.resolved_because,
        ]


@require_http_methods(["GET", "HEAD", "POST"])
@requires(OUTCOMES_RESOLVE)
def outcome_resolve(request: Request, pk: int) -> HttpResponse:
    """One such call; POST says what became of it."""
    call = outcome_for(request.access, pk)
    if request.method != "POST":
        return _page(request, call, _form(call), 200)
    form = _form(call, request.POST)
    if not form.is_valid():
        return _page(request, call, form, 422)
    values = form.cleaned_data
    try:
        resolve(
            call_id=call.pk,
            resolution=values["resolution"],
            reason=values["reason"],
            value=values["value"],
            actor=actor_of(request),
            at=now(),
        )
    except TollgateError as error:
        form.add_error(None, error.message)
        return _page(request, outcome_for(request.access, pk), form, error.status)
    ended = values["resolution"] == ToolCall.Resolution.ABANDON
    messages.success(
        request,
        f"Run {call.run.uid} {'is abandoned' if ended else 'goes on'}: your decision "
        f"about {call.tool} is on record.",
    )
    return redirect("unknown_outcomes")


def _page(
    request: Request, call: ToolCall, form: OutcomeForm, status: int
) -> HttpResponse:
    at = now()
    row = shown_outcome(call, at=at)
    context = {"row": row, "form": form, "open": row.state == OPEN, "at": at}
    return render(request, "outcomes/outcome.html", context, status=status)
