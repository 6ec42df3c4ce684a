"""Pages of tasks: list, one task, and to state how it ended."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from audit.history import history_of
from audit.services.exports import MOST_ROWS, export
from core.clock import now
from core.errors import Invalid
from core.tables import chips, filters_of, keyset, keyset_by_time
from gateway.selectors.runs import visible_runs
from gateway.selectors.tasks import loose_usage, task_for, visible_tasks, with_labels
from gateway.services.task_outcomes import state
from gateway.task_filters import TaskFilter
from gateway.task_forms import TaskOutcomeForm
from policy.access import COSTS_READ, REPORTS_ANNOTATE, RUNS_READ
from policy.web import Request, actor_of, requires

_OF_FACT = (
    *("team", "cost_centre", "project", "environment", "principal", "mode"),
    *("language", "model", "outcome", "stated", "stated_by", "stated_at"),
    *("submitted", "runs", "first_succeeded", "successful_calls", "tokens", "known"),
    *("cost", "unrated", "currency", "started_at", "first_ended_at", "ended_at"),
)
_COLUMNS = ("task", "name", *_OF_FACT)
_LABELS = {
    "period": "Period",
    "first": "From",
    "last": "To",
    "team": "Team",
    "outcome": "Outcome",
    "model": "Model",
    "q": "Text",
}
_MORE = ("first", "last")
_MOST_COUNTED = 10_000


@require_safe
@requires(RUNS_READ)
def task_list(request: Request) -> HttpResponseBase:
    """Tasks of the teams this person may see, by their last end."""
    tasks = visible_tasks(request.access)
    filterset = TaskFilter(request.GET, queryset=tasks)
    valid = filterset.is_valid()
    found = filterset.qs if valid else tasks.none()
    at = now()
    if form := request.GET.get("export"):
        return export(
            name="tasks",
            form=form,
            columns=_COLUMNS,
            rows=_rows(with_labels(found).order_by("-ended_at", "-pk")[:MOST_ROWS]),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    context = {
        "page": keyset_by_time(with_labels(found), request),
        "count": found.order_by()[: _MOST_COUNTED + 1].count(),
        "most_counted": _MOST_COUNTED,
        "filter": filterset,
        "chips": chips(request, _LABELS),
        "window": filterset.window(at=at) if valid else None,
        "more": any(request.GET.get(name) for name in _MORE),
        "at": at,
    }
    return render(request, "tasks/tasks.html", context, status=200 if valid else 422)


def _rows(found: Any) -> Iterator[list[Any]]:
    for fact in found:
        own = [getattr(fact, name) for name in _OF_FACT]
        yield [fact.task, fact.label or "", *own]


@require_safe
@requires(RUNS_READ)
def task_detail(request: Request, uid: str) -> HttpResponse:
    """One task: its runs, what was reported for it alone, what was stated."""
    return _page(request, uid, TaskOutcomeForm(), 200)


@require_POST
@requires(REPORTS_ANNOTATE)
def task_outcome(request: Request, uid: str) -> HttpResponse:
    """State how a task ended."""
    form = TaskOutcomeForm(request.POST)
    if not form.is_valid():
        return _page(request, uid, form, 422)
    try:
        fact = state(
            task=uid,
            **form.cleaned_data,
            teams=request.access.teams_for(REPORTS_ANNOTATE),
            actor=actor_of(request),
            at=now(),
        )
    except Invalid as error:
        form.add_error(None, error.message)
        return _page(request, uid, form, error.status)
    messages.success(request, f"It is on record that the task {fact.outcome}.")
    return redirect("task", uid)


def _page(
    request: Request, uid: str, form: TaskOutcomeForm, status: int
) -> HttpResponse:
    task = task_for(request.access, uid)
    teams = request.access.teams_for(REPORTS_ANNOTATE)
    context = {
        "task": task,
        "fact": task.fact,
        "page": keyset(visible_runs(request.access).filter(task__uid=uid), request),
        "loose": loose_usage(uid) if request.access.may(COSTS_READ) else [],
        "form": form,
        "may_state": task.fact is not None and (teams is None or task.team in teams),
        **history_of(request.access, "task", uid),
        "at": now(),
    }
    return render(request, "tasks/task.html", context, status=status)
