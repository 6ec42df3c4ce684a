"""Fills in which tools the runs of before called."""

from django.db import migrations

_FILL = """
UPDATE finops_runfact f SET tools = c.tools, tool_successes = c.successes
FROM (
  SELECT run, array_agg(tool ORDER BY tool) AS tools,
    array_agg(ok ORDER BY tool) AS successes
  FROM (
    SELECT r.uid AS run, c.tool, count(*) FILTER (WHERE c.outcome = 'ok')::int AS ok
    FROM gateway_toolcall c JOIN gateway_run r ON r.id = c.run_id
    WHERE c.decision = 'allow' GROUP BY 1, 2) used
  GROUP BY run) c
WHERE f.run = c.run
"""


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0012_run_trace"),
        ("finops", "0011_tools_of_facts"),
    ]

    operations = [migrations.RunSQL(_FILL, migrations.RunSQL.noop)]
