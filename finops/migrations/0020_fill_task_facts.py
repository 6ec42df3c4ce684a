"""Makes the task facts of the runs of before."""

from django.db import migrations

_FIRST = (
    *("team", "cost_centre", "project", "environment", "principal"),
    *("mode", "language", "model", "currency"),
)
_FILL = f"""
INSERT INTO finops_taskfact (
  task, outcome, stated, stated_by, {", ".join(_FIRST)}, submitted, runs, first_attempt,
  last_attempt, first_succeeded, last_succeeded, first_ended_at, most_calls,
  direct_calls, successful_calls, run_estimated, run_measured, run_reported,
  loose_measured, loose_reported, loose_cost, run_cost, unrated, started_at, ended_at,
  tools)
SELECT f.task,
  CASE WHEN (array_agg(f.succeeded ORDER BY f.attempt DESC, f.id DESC))[1]
    THEN 'succeeded' ELSE 'failed' END, '', '',
  {", ".join(f"(array_agg(f.{x} ORDER BY f.attempt, f.id))[1]" for x in _FIRST)},
  greatest(max(f.attempt), count(*)), count(*), min(f.attempt), max(f.attempt),
  (array_agg(f.succeeded ORDER BY f.attempt, f.id))[1],
  (array_agg(f.succeeded ORDER BY f.attempt DESC, f.id DESC))[1],
  (array_agg(f.ended_at ORDER BY f.attempt, f.id))[1],
  coalesce(max(f.tool_calls) FILTER (WHERE f.mode = 'script'), 0),
  coalesce(sum(f.tool_calls) FILTER (WHERE f.mode = 'direct'), 0),
  sum(f.successful_calls), sum(f.tokens), 0, 0, 0, 0, 0, sum(f.cost), sum(f.unrated),
  min(f.started_at), max(f.ended_at),
  ARRAY(SELECT DISTINCT tool FROM finops_runfact o, unnest(o.tools) AS tool
    WHERE o.task = f.task ORDER BY 1)
FROM finops_runfact f GROUP BY f.task
ON CONFLICT (task) DO NOTHING
"""  # noqa: S608 - constants of this module


class Migration(migrations.Migration):
    dependencies = [("finops", "0019_task_facts")]

    operations = [migrations.RunSQL(_FILL, migrations.RunSQL.noop)]
