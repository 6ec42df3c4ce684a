"""Pages of runs: list, one run, cancel."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from audit.history import shown
from audit.query import term
from audit.services.exports import MOST_ROWS, export
from core.clock import now
from core.tables import chips, filters_of, keyset
from finops.selectors.budgets import reservations
from gateway.filters import RunFilter
from gateway.highlight import lines, visible
from gateway.models import Run, ToolCall
from gateway.selectors.approvals import approvals_of, visible_approvals
from gateway.selectors.journal import direct_arguments, journal_rows
from gateway.selectors.limits import limits_used
from gateway.selectors.outcomes import count_open
from gateway.selectors.runs import (
    attempts_beside,
    bill_of,
    calls_of,
    events_of,
    run_for,
    shown_error,
    shown_json,
    visible_runs,
)
from gateway.selectors.timeline import timeline
from gateway.selectors.waiting import held_seconds, holds_of, waits_of
from gateway.services.cancel import cancel
from gateway.services.envelope import envelope
from policy.access import (
    AUDIT_READ,
    COSTS_READ,
    OUTCOMES_RESOLVE,
    POLICY_READ,
    RUNS_EXECUTE,
    RUNS_READ,
)
from policy.web import Request, actor_of, refuse, requires

_COLUMNS = (
    "run",
    "task",
    "attempt",
    "status",
    "error_code",
    "team",
    "cost_centre",
    "project",
    "environment",
    "principal",
    "mode",
    "language",
    "model",
    "tool_calls",
    "successful_calls",
    "queued_at",
    "started_at",
    "finished_at",
    "queue_seconds",
    "hold_seconds",
    "run_seconds",
    "cost",
    "currency",
)
_LABELS = {
    "period": "Period",
    "first": "From",
    "last": "To",
    "status": "Status",
    "team": "Team",
    "environment": "Environment",
    "project": "Project",
    "mode": "Kind of run",
    "model": "Model",
    "cost_centre": "Cost centre",
    "tool": "Tool",
    "principal": "Principal",
    "server": "Server",
    "language": "Language",
    "waste": "Wasted",
    "counted": "Counted when",
    "error": "Error code",
    "task": "Task",
    "q": "Text",
}
_MORE = (
    "first",
    "last",
    "project",
    "mode",
    "model",
    "cost_centre",
    "tool",
    "principal",
    "error",
    "task",
    "server",
    "language",
    "waste",
    "counted",
)
_MOST_COUNTED = 10_000


@require_GET
@requires(RUNS_READ)
def run_list(request: Request) -> HttpResponseBase:
    """Runs of the teams this person may see, newest first."""
    filterset = RunFilter(request.GET, queryset=visible_runs(request.access))
    found = filterset.qs if filterset.is_valid() else Run.objects.none()
    if form := request.GET.get("export"):
        return export(
            name="runs",
            form=form,
            columns=_COLUMNS,
            rows=_rows(found.newest_first()[:MOST_ROWS]),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    may_decide = request.access.may(OUTCOMES_RESOLVE)
    context = {
        "page": keyset(found, request),
        "count": found.order_by()[: _MOST_COUNTED + 1].count(),
        "most_counted": _MOST_COUNTED,
        "filter": filterset,
        "chips": chips(request, _LABELS),
        "window": filterset.window(at=now()) if filterset.is_valid() else None,
        "may_execute": request.access.may(RUNS_EXECUTE),
        "may_decide": may_decide,
        "unknown": count_open(request.access) if may_decide else 0,
        "more": any(request.GET.get(name) for name in _MORE),
        "at": now(),
    }
    status = 200 if filterset.is_valid() else 422
    return render(request, "runs/runs.html", context, status=status)


def _rows(found: Any) -> Iterator[list[Any]]:
    for run in found:
        yield [
            run.uid,
            run.task.label or run.task.uid,
            run.attempt,
            run.status,
            (run.error or {}).get("code", ""),
            run.team,
            run.cost_centre,
            run.project,
            run.environment,
            run.principal,
            run.mode,
            run.language,
            run.model,
            run.tool_calls,
            run.successful_calls,
            run.queued_at,
            run.started_at,
            run.finished_at,
            run.queue_seconds,
            run.hold_seconds,
            run.run_seconds,
            run.cost,
            run.currency,
        ]


@require_GET
@requires(RUNS_READ)
def run_detail(request: Request, uid: str) -> HttpResponse:
    """One run: script, timeline, journal, envelope, cost, trail."""
    run = run_for(request.access, uid)
    part = "#live" if request.htmx and "live" in request.GET else ""
    response = render(request, f"runs/run.html{part}", run_context(request, run))
    came_to_rest = run.status in Run.WAITING and run.status != request.GET.get("was")
    if part and (run.ended or came_to_rest):
        # The rest of the page (journal, cost, envelope) has its figures now.
        response["HX-Refresh"] = "true"
    return response


def run_context(request: Request, run: Run) -> dict[str, Any]:
    """What the page of a run shows; the playground shows parts of it too."""
    calls = calls_of(run)
    asked = approvals_of(run)
    at = now()
    may_audit = request.access.may(AUDIT_READ)
    error = shown_error(run)
    return {
        "run": run,
        "lines": lines(
            run.code, run.language, marked=[error.line if error and error.line else 0]
        ),
        "error": error,
        "journal": journal_rows(run, calls),
        # The run's own counts are written when it ends.
        "made": run.tool_calls if run.ended else len(calls),
        "succeeded": run.successful_calls
        if run.ended
        else sum(call.outcome == ToolCall.Outcome.OK for call in calls),
        "timeline": timeline(run, calls, holds=holds_of(run), at=at),
        "hold_seconds": held_seconds(run, at=at),
        "waits": waits_of(run, request.access),
        "asked": asked,
        "direct_arguments": direct_arguments(run, calls, asked),
        "linked": set(
            visible_approvals(request.access)
            .filter(run=run.uid)
            .values_list("uid", flat=True)
        ),
        "envelope": shown_json(envelope(run)),
        "stdout": visible(run.stdout),
        "bill": bill_of(run) if request.access.may(COSTS_READ) else None,
        "limits": limits_used(run),
        "reserved": []
        if run.ended or not request.access.may(COSTS_READ)
        else reservations(run.uid, request.access),
        "attempts": attempts_beside(run, request.access),
        **shown(
            request.access,
            events_of(run) if may_audit else [],
            (term("run", run.uid),),
        ),
        "may_explain": request.access.may(POLICY_READ),
        "may_cancel": not run.ended and _may(request, RUNS_EXECUTE, run),
        "may_play": request.access.may(RUNS_EXECUTE),
        "at": at,
    }


def _may(request: Request, capability: str, run: Run) -> bool:
    teams = request.access.teams_for(capability)
    return teams is None or run.team in teams


@require_POST
@requires(RUNS_EXECUTE)
def run_cancel(request: Request, uid: str) -> HttpResponse:
    """Ask for a run to be stopped."""
    run = run_for(request.access, uid)
    if not _may(request, RUNS_EXECUTE, run):
        raise refuse(request, needed=f"{RUNS_EXECUTE} in team {run.team}")
    cancel(uid=run.uid, actor=actor_of(request), at=now())
    messages.success(request, "The run is asked to stop.")
    return redirect("run", run.uid)
