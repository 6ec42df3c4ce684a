"""Records the fact of a finished run, once, and what it makes of its task."""

from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import AutoField

from core.prepared import prepared_cursor
from finops.models import RunFact
from finops.selectors.rows import UNRATED
from finops.services.dirty import NOTE

# One transaction at a time books for a run or for a task: else what is booked while a
# run ends would be in neither's figures.
LOCK_RUN, LOCK_TASK = 7101, 7102

_FIELDS = [
    field for field in RunFact._meta.concrete_fields if not isinstance(field, AutoField)
]
# What models used may have been booked before the run ended.
_ADDED = {
    "cost": "used.cost",
    "unrated": "used.unrated",
    "tokens_measured": "used.measured",
    "tokens_reported": "used.reported",
}
MODEL_USAGE = f"""
  coalesce(sum(u.cost) FILTER (WHERE u.currency = %(booking)s::text), 0) AS cost,
  {UNRATED} AS unrated,
  greatest(coalesce(sum(u.quantity) FILTER (WHERE u.known = 'measured'), 0), 0)::bigint
    AS measured,
  greatest(coalesce(sum(u.quantity) FILTER (WHERE u.known = 'reported'), 0), 0)::bigint
    AS reported"""


def _value(field: Any) -> str:
    given = f"%({field.attname})s::{field.db_type(connection)}"
    return f"{given} + {_ADDED[field.attname]}" if field.attname in _ADDED else given


# The task's row is locked by its change, so that two runs that end at once both count.
_INSERT = f"""
WITH used AS (
  SELECT {MODEL_USAGE}
  FROM finops_usageevent u WHERE u.run = %(run)s AND u.kind = 'model_tokens'
), fact AS (
  INSERT INTO finops_runfact ({", ".join(field.attname for field in _FIELDS)})
  SELECT {", ".join(map(_value, _FIELDS))} FROM used
  ON CONFLICT (run) DO NOTHING RETURNING *
), before AS (
  SELECT team, ended_at, first_ended_at FROM finops_taskfact WHERE task = %(task)s
), changed AS (
  SELECT teams.team, times.at FROM fact f
  CROSS JOIN (SELECT %(team)s::text AS team UNION SELECT team FROM before) teams
  CROSS JOIN (SELECT %(ended_at)s::timestamptz AS at UNION SELECT ended_at FROM before
    UNION SELECT first_ended_at FROM before) times
), noted AS ({NOTE}
), loose AS (
  SELECT {MODEL_USAGE}
  FROM finops_usageevent u WHERE u.run = '' AND u.task = %(task)s AND u.task <> ''
)
INSERT INTO finops_taskfact AS t (
  team, cost_centre, project, environment, principal, task, mode, language, model,
  submitted, runs, first_attempt, last_attempt, first_succeeded, last_succeeded,
  outcome, stated, stated_by, most_calls, direct_calls, tools, successful_calls,
  run_estimated, run_measured, run_reported, loose_measured, loose_reported, run_cost,
  loose_cost, unrated, currency, started_at, first_ended_at, ended_at)
SELECT f.team, f.cost_centre, f.project, f.environment, f.principal, f.task, f.mode,
  f.language, f.model, greatest(%(submitted)s::int, f.attempt), 1, f.attempt, f.attempt,
  f.succeeded, f.succeeded,
  CASE WHEN %(submitted)s::int > 1 THEN 'pending' WHEN f.succeeded THEN 'succeeded'
    ELSE 'failed' END,
  '', '', CASE WHEN f.mode = 'script' THEN f.tool_calls ELSE 0 END,
  CASE WHEN f.mode = 'direct' THEN f.tool_calls ELSE 0 END, f.tools, f.successful_calls,
  f.tokens, f.tokens_measured, f.tokens_reported, loose.measured, loose.reported,
  CASE WHEN f.currency = %(booking)s::text THEN f.cost ELSE 0 END, loose.cost,
  f.unrated, f.currency, f.started_at, f.ended_at, f.ended_at
FROM fact f, loose
ON CONFLICT (task) DO UPDATE SET
  submitted = greatest(t.submitted, excluded.submitted), runs = t.runs + 1,
{{dimensions}},
  first_attempt = least(t.first_attempt, excluded.first_attempt),
  last_attempt = greatest(t.last_attempt, excluded.last_attempt),
  last_succeeded = {{last_succeeded}},
  outcome = CASE WHEN t.stated <> '' THEN t.stated
    WHEN greatest(t.submitted, excluded.submitted) > t.runs + 1 THEN 'pending'
    WHEN {{last_succeeded}} THEN 'succeeded' ELSE 'failed' END,
  most_calls = greatest(t.most_calls, excluded.most_calls),
  direct_calls = t.direct_calls + excluded.direct_calls,
  tools = CASE WHEN t.tools @> excluded.tools THEN t.tools
    ELSE ARRAY(SELECT DISTINCT unnest(t.tools || excluded.tools) ORDER BY 1) END,
  successful_calls = t.successful_calls + excluded.successful_calls,
  run_estimated = t.run_estimated + excluded.run_estimated,
  run_measured = t.run_measured + excluded.run_measured,
  run_reported = t.run_reported + excluded.run_reported,
  loose_measured = excluded.loose_measured, loose_reported = excluded.loose_reported,
  run_cost = t.run_cost + excluded.run_cost, loose_cost = excluded.loose_cost,
  unrated = t.unrated + excluded.unrated,
  started_at = least(t.started_at, excluded.started_at),
  ended_at = greatest(t.ended_at, excluded.ended_at)
RETURNING t.task
""".format(  # noqa: S608 - the model's own names
    dimensions=",\n".join(
        f"  {name} = CASE WHEN excluded.first_attempt < t.first_attempt "
        f"THEN excluded.{name} ELSE t.{name} END"
        for name in (
            *("team", "cost_centre", "project", "environment", "principal"),
            *("mode", "language", "model", "first_succeeded", "first_ended_at"),
        )
    ),
    last_succeeded="CASE WHEN excluded.last_attempt > t.last_attempt "
    "THEN excluded.last_succeeded ELSE t.last_succeeded END",
)


def record_run(*, fact: RunFact, submitted: int = 1) -> bool:
    """Save ``fact`` in the running transaction; False when the run has one already.

    ``submitted`` is how many runs its task has: while one of them is open, the task is
    pending. Hold LOCK_RUN and LOCK_TASK.
    """
    values: dict[str, Any] = {
        field.attname: field.get_db_prep_save(getattr(fact, field.attname), connection)
        for field in _FIELDS
    }
    values |= {"submitted": submitted, "booking": settings.CURRENCY}
    values["zone"] = settings.REPORT_TIME_ZONE
    with prepared_cursor() as cursor:
        cursor.execute(_INSERT, values)
        return bool(cursor.rowcount == 1)
