"""Takes reports of model usage and finds the runs and tasks that they were for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings

from audit.actor import Target
from audit.services.record import DENY, record
from core.errors import Invalid, NotFound, TollgateError
from core.ids import new_id
from finops.services.metering import Booked, Payer
from finops.services.reported import Report, report_all
from finops.told import Told, check
from gateway import events
from gateway.models import Run, Task
from gateway.services.reservations import payer_of
from policy.principal import Principal

BOOKED, DUPLICATE, REFUSED = "booked", "duplicate", "refused"
_TASK_UID = "task_"
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one report."""

    event: str
    result: str
    booked: Booked | None = None
    error: TollgateError | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What the reports of one batch name, as far as it is there."""

    runs: Mapping[str, Run]
    traces: Mapping[str, Sequence[Run]]
    tasks: Mapping[str, Task]


def report_usage(
    *,
    principal: Principal,
    told: Sequence[Told],
    source: str,
    at: datetime,
    unfit: int = 0,
) -> list[Result]:
    """Book what is new of ``told``, each for the run or task that it names.

    One that cannot be taken is refused by itself, and the others are booked.
    ``unfit`` counts what the caller refused before. What is named but belongs to
    another team is refused, on record.
    """
    found = _find(told, principal.team)
    refused: dict[int, TollgateError] = {}
    reports: dict[int, Report] = {}
    for index, one in enumerate(told):
        try:
            check(one, at=at, days=settings.USAGE_DAYS)
            reports[index] = Report(one, _payer(one, found, principal, at))
        except (Invalid, NotFound) as error:
            refused[index] = error
    booked = report_all(
        reports=list(reports.values()),
        source=source,
        actor=principal.actor,
        at=at,
        refused=len(refused) + unfit,
    )
    of_report = dict(zip(reports, booked, strict=True))
    _record_strangers(told, found, principal, at)
    return [
        _result(one.event, refused.get(index), of_report.get(index))
        for index, one in enumerate(told)
    ]


def _result(event: str, error: TollgateError | None, booked: Booked | None) -> Result:
    if error is not None:
        return Result(event, REFUSED, error=error)
    return Result(event, BOOKED if booked else DUPLICATE, booked=booked)


def _find(told: Sequence[Told], team: str) -> _Found:
    """Everything that the reports name, in a bounded number of queries.

    Runs and tasks of other teams are among them, so that naming one is noticed.
    """
    rows = Run.objects.select_related("task")
    runs = {one.run for one in told if one.run and one.run.isprintable()}
    traces = {one.trace_id for one in told if one.trace_id and not one.run}
    tasks = {one.task for one in told if one.task.startswith(_TASK_UID)}
    by_trace: dict[str, list[Run]] = {}
    of_traces = rows.filter(team=team, trace_id__in=_asked(traces)) if traces else []
    for run in of_traces:
        by_trace.setdefault(run.trace_id, []).append(run)
    for runs_of_trace in by_trace.values():
        runs_of_trace.sort(key=lambda run: run.queued_at)
    return _Found(
        {run.uid: run for run in rows.filter(uid__in=_asked(runs))} if runs else {},
        by_trace,
        {task.uid: task for task in Task.objects.filter(uid__in=_asked(tasks))}
        if tasks
        else {},
    )


def _asked(names: Collection[str]) -> list[str]:
    """What PostgreSQL takes as text."""
    return [name for name in names if name.isprintable()]


def _payer(told: Told, found: _Found, principal: Principal, at: datetime) -> Payer:
    """Who pays: whoever paid for the run, else the holder of the key.

    Raises NotFound for a run or task that is not there or of another team: one answer
    for both, so that names cannot be found out by trying.
    """
    if told.run:
        run = found.runs.get(told.run)
        if run is None or run.team != principal.team:
            raise NotFound(f"There is no run {told.run[:40]} of this key's team.")
        return payer_of(run, run.task.uid)
    if told.task:
        return _key_pays(principal, _task(told, found, principal, at).uid)
    if runs := found.traces.get(told.trace_id):
        run = _run_at(runs, told.at)
        return payer_of(run, run.task.uid)
    return _key_pays(principal, "")


def _run_at(runs: Sequence[Run], at: datetime) -> Run:
    """Of a trace's runs, the one that the answer led to; after the last one, that.

    A model writes a script before it is run.
    """
    return next((run for run in runs if run.queued_at >= at), runs[-1])


def _task(told: Told, found: _Found, principal: Principal, at: datetime) -> Task:
    if told.task.startswith(_TASK_UID):
        task = found.tasks.get(told.task)
        if task is None or task.team != principal.team:
            raise NotFound(f"There is no task {told.task[:40]} of this key's team.")
        return task
    own = {"principal": principal.id, "label": told.task}
    mates = Task.objects.filter(team=principal.team, label=told.task)
    task = Task.objects.filter(**own).first() or mates.order_by("-id").first()
    # A model may be asked before the first run of its task.
    return (
        task
        or Task.objects.get_or_create(
            **own,
            defaults={"uid": new_id("task"), "team": principal.team, "created_at": at},
        )[0]
    )


def _key_pays(principal: Principal, task: str) -> Payer:
    return Payer(
        team=principal.team,
        cost_centre=principal.cost_centre,
        project=principal.project,
        environment=principal.environment,
        principal=principal.id,
        task=task,
        key=principal.key,
    )


def payer_of_call(*, principal: Principal, told: Told, at: datetime) -> Payer:
    """Who pays for an answer that is about to be asked for.

    A trace without a run as yet begins its task, which its first run joins: a model
    writes a script before it is run. Raises NotFound for work of another team, on
    record.
    """
    found = _find([told], principal.team)
    try:
        payer = _payer(told, found, principal, at)
    except NotFound:
        _record_strangers([told], found, principal, at)
        raise
    if payer.run or payer.task or not told.trace_id:
        return payer
    task, _ = Task.objects.get_or_create(
        principal=principal.id,
        trace_id=told.trace_id,
        defaults={"uid": new_id("task"), "team": principal.team, "created_at": at},
    )
    return replace(payer, task=task.uid)


def _record_strangers(
    told: Sequence[Told], found: _Found, principal: Principal, at: datetime
) -> None:
    """Put on record that work of other teams was named."""
    named = {one.run: found.runs.get(one.run) for one in told}
    asked = {one.task: found.tasks.get(one.task) for one in told if not one.run}
    strange = sorted(
        name
        for name, row in (*named.items(), *asked.items())
        if row is not None and row.team != principal.team
    )
    if strange:
        kind = "task" if strange[0].startswith(_TASK_UID) else "run"
        record(
            events.USAGE_REFUSED,
            actor=principal.actor,
            at=at,
            target=Target(kind, strange[0], strange[0]),
            decision=DENY,
            reasons=["named work of another team"],
            payload={"names": strange[:_MOST_NAMED]},
        )
