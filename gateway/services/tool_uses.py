"""Keeps when each tool was last called, from the journal."""

from datetime import datetime, timedelta

from django.db import connection, transaction

from gateway.models import ToolUseMark

# A call's row is committed within this time of its intent: what is older cannot appear
# below the mark any more.
_SETTLED = timedelta(minutes=2)
_BATCH = 20_000
_READ = """
WITH batch AS MATERIALIZED (
  SELECT id, run_id, tool, decision, intent_at FROM gateway_toolcall
  WHERE id > %s ORDER BY id LIMIT %s
), noted AS (
  INSERT INTO gateway_tooluse (team, environment, principal, tool, last_at)
  SELECT run.team, run.environment, run.principal, batch.tool, max(batch.intent_at)
  FROM batch JOIN gateway_run run ON run.id = batch.run_id
  WHERE batch.decision = 'allow'
  GROUP BY 1, 2, 3, 4
  ON CONFLICT (team, environment, principal, tool) DO UPDATE
  SET last_at = greatest(gateway_tooluse.last_at, excluded.last_at)
)
SELECT count(*), count(*) FILTER (WHERE intent_at < %s),
  max(id) FILTER (WHERE intent_at < %s)
FROM batch
"""


def note_uses(*, at: datetime) -> int:
    """Read the calls since the last time; how many were read. Safe to run twice.

    The newest calls are read again the next time, so that none is missed that is
    committed late.
    """
    read = 0
    while True:
        count, settled = _note(at)
        read += count
        if count < _BATCH or settled < count:
            return read


@transaction.atomic
def _note(at: datetime) -> tuple[int, int]:
    ToolUseMark.objects.get_or_create(pk=1)
    mark = ToolUseMark.objects.select_for_update().get(pk=1)
    before = at - _SETTLED
    with connection.cursor() as cursor:
        cursor.execute(_READ, [mark.call, _BATCH, before, before])
        count, settled, highest = cursor.fetchone()
    mark.call, mark.read_at = max(mark.call, highest or 0), at
    mark.save()
    return count, settled
