"""Keeps task facts right as usage comes late, outcomes are stated and time passes."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.reasons import reason_given
from finops import events
from finops.models import RunFact, TaskFact
from finops.selectors.rows import UNRATED
from finops.services.dirty import note
from finops.services.facts import LOCK_RUN, LOCK_TASK, MODEL_USAGE

Outcome = TaskFact.Outcome
STATED = (Outcome.SUCCEEDED.value, Outcome.FAILED.value)
_SETTLED_AT_ONCE = 5_000

# Sorted, so that two that book for the same runs wait and do not block each other.
_LOCK = """
SELECT pg_advisory_xact_lock(%s, key) FROM (
  SELECT DISTINCT hashtext(uid) AS key FROM unnest(%s::text[]) AS uid ORDER BY 1) keys
"""
_MODEL_TOKENS = """
  greatest(coalesce(sum(u.quantity) FILTER (
    WHERE u.kind = 'model_tokens' AND u.known = '{known}'), 0), 0)::bigint AS {known}"""
_RUNS = f"""
UPDATE finops_runfact f SET cost = used.cost, unrated = used.unrated,
  tokens_measured = used.measured, tokens_reported = used.reported
FROM (
  SELECT u.run, {UNRATED} AS unrated,
    coalesce(sum(u.cost) FILTER (WHERE u.currency = %(booking)s), 0) AS cost,
    {_MODEL_TOKENS.format(known="measured")},
    {_MODEL_TOKENS.format(known="reported")}
  FROM finops_usageevent u WHERE u.run = ANY(%(runs)s) GROUP BY u.run) used
WHERE f.run = used.run AND f.currency = %(booking)s
"""  # noqa: S608 - constants of this module
_FIRST = (
    *("team", "cost_centre", "project", "environment", "principal"),
    *("mode", "language", "model", "currency"),
)
_COLUMNS = (
    *_FIRST,
    *("submitted", "runs", "first_attempt", "last_attempt", "first_succeeded"),
    *("last_succeeded", "most_calls", "direct_calls", "tools", "successful_calls"),
    *("run_estimated", "run_measured", "run_reported", "loose_measured"),
    *("loose_reported", "run_cost", "loose_cost", "unrated", "started_at"),
    *("first_ended_at", "ended_at"),
)
_OF_FIRST = ", ".join(
    f"(array_agg(f.{name} ORDER BY f.attempt, f.id))[1] AS {name}" for name in _FIRST
)
_TASKS = f"""
INSERT INTO finops_taskfact AS t (
  task, outcome, stated, stated_by, {", ".join(_COLUMNS)})
SELECT r.task,
  CASE WHEN r.submitted > r.runs THEN 'pending' WHEN r.last_succeeded THEN 'succeeded'
    ELSE 'failed' END, '', '', {", ".join(_COLUMNS)}
FROM (
  SELECT f.task,
    {_OF_FIRST},
    greatest(max(f.attempt), count(*))::int AS submitted, count(*)::int AS runs,
    min(f.attempt) AS first_attempt, max(f.attempt) AS last_attempt,
    (array_agg(f.succeeded ORDER BY f.attempt, f.id))[1] AS first_succeeded,
    (array_agg(f.succeeded ORDER BY f.attempt DESC, f.id DESC))[1] AS last_succeeded,
    (array_agg(f.ended_at ORDER BY f.attempt, f.id))[1] AS first_ended_at,
    coalesce(max(f.tool_calls) FILTER (WHERE f.mode = 'script'), 0) AS most_calls,
    coalesce(sum(f.tool_calls) FILTER (WHERE f.mode = 'direct'), 0) AS direct_calls,
    sum(f.successful_calls) AS successful_calls, sum(f.tokens) AS run_estimated,
    sum(f.tokens_measured) AS run_measured, sum(f.tokens_reported) AS run_reported,
    coalesce(sum(f.cost) FILTER (WHERE f.currency = %(booking)s), 0) AS run_cost,
    sum(f.unrated) AS unrated, min(f.started_at) AS started_at,
    max(f.ended_at) AS ended_at,
    ARRAY(SELECT DISTINCT tool FROM finops_runfact o, unnest(o.tools) AS tool
      WHERE o.task = f.task ORDER BY 1) AS tools
  FROM finops_runfact f WHERE {{where}} GROUP BY f.task) r
CROSS JOIN LATERAL (
  SELECT u.cost AS loose_cost, u.measured AS loose_measured,
    u.reported AS loose_reported
  FROM (SELECT {MODEL_USAGE} FROM finops_usageevent u
    WHERE u.run = '' AND u.task = r.task AND u.task <> '') u) loose
ON CONFLICT (task) DO UPDATE SET
  outcome = CASE WHEN t.stated <> '' THEN t.stated
    WHEN greatest(t.submitted, excluded.submitted) > excluded.runs THEN 'pending'
    WHEN excluded.last_succeeded THEN 'succeeded'
    WHEN t.outcome = 'abandoned' AND t.ended_at = excluded.ended_at THEN 'abandoned'
    ELSE 'failed' END,
  submitted = greatest(t.submitted, excluded.submitted),
  {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "submitted")}
"""  # noqa: S608 - constants of this module


@transaction.atomic
def usage_reported(*, runs: Collection[str], tasks: Collection[str]) -> None:
    """Let the facts of runs and tasks say what their ledger says.

    Call it in the transaction that booked for them, after booking. What has no fact
    yet gets its usage when its run ends.
    """
    if not runs and not tasks:
        return
    values: dict[str, Any] = {"booking": settings.CURRENCY, "runs": list(runs)}
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, [LOCK_RUN, list(runs)])
        of_runs = RunFact.objects.filter(run__in=runs).values_list("task", flat=True)
        wanted = sorted({*tasks, *of_runs})
        cursor.execute(_LOCK, [LOCK_TASK, wanted])
        if runs:
            cursor.execute(_RUNS, values)
            note(RunFact.objects.filter(run__in=runs).values_list("team", "ended_at"))
        if wanted:
            where = "f.task = ANY(%(tasks)s)"
            cursor.execute(_TASKS.format(where=where), values | {"tasks": wanted})
            facts = TaskFact.objects.filter(task__in=wanted)
            note(facts.values_list("team", "ended_at"))


def rebuild(*, start: datetime, end: datetime) -> int:
    """Make the tasks with a run that ended in the window anew; how many there are."""
    where = (
        "f.task IN (SELECT w.task FROM finops_runfact w "
        "WHERE w.ended_at >= %(start)s AND w.ended_at < %(end)s)"
    )
    values: dict[str, Any] = {"start": start, "end": end}
    values |= {"booking": settings.CURRENCY}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE finops_taskfact IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(_TASKS.format(where=where), values)
        return int(cursor.rowcount)


@transaction.atomic
def state_outcome(
    *,
    task: str,
    outcome: str,
    reason: str,
    teams: Collection[str] | None,
    actor: Actor,
    at: datetime,
) -> TaskFact:
    """Put on record how a task ended, as somebody says; the last word holds.

    ``teams`` are those whose tasks the caller may state, None for all. Raises Invalid,
    and NotFound also for the task of another team or one without a finished run.
    """
    if outcome not in STATED:
        raise Invalid(f"Say {' or '.join(STATED)}, not {outcome[:40]!r}.")
    reason = reason_given(reason)
    found = TaskFact.objects.select_for_update().filter(task=task)
    if teams is not None:
        found = found.filter(team__in=teams)
    fact = found.first()
    if fact is None:
        raise NotFound(
            f"There is no task {task[:40]} of yours with a finished run. State its "
            "outcome once a run of it has ended."
        )
    before = fact.outcome
    fact.outcome = fact.stated = outcome
    fact.stated_by, fact.stated_at = actor.id, at
    fact.save(update_fields=["outcome", "stated", "stated_by", "stated_at"])
    note([(fact.team, fact.ended_at)])
    record(
        events.TASK_OUTCOME_STATED,
        actor=actor,
        at=at,
        target=Target("task", task, task),
        payload={"outcome": outcome, "before": before, "reason": reason},
    )
    return fact


@transaction.atomic
def settle_abandoned(*, at: datetime) -> int:
    """Tasks whose last run failed long ago count as abandoned; how many now do."""
    since = at - timedelta(hours=settings.TASK_ABANDONED_HOURS)
    left = TaskFact.objects.filter(
        outcome=Outcome.FAILED, stated="", ended_at__lt=since
    )
    # Whose row is held is just being taken up again.
    some = left.select_for_update(skip_locked=True).order_by("ended_at", "pk")
    rows = some.values_list("pk", "team", "ended_at")[:_SETTLED_AT_ONCE]
    found = {pk: (team, ended_at) for pk, team, ended_at in rows}
    TaskFact.objects.filter(pk__in=found).update(outcome=Outcome.ABANDONED)
    note(found.values())
    return len(found)
