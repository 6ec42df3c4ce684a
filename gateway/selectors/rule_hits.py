"""How often each rule had a say, or would have had one, by the journal."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

# The journal keeps this for few calls; a partial index finds them.
_HITS = """
SELECT said.rule, said.kind, count(*), max(call.intent_at)
FROM gateway_toolcall call
CROSS JOIN LATERAL (
  SELECT jsonb_array_elements_text(call.rules -> 'applied') AS rule, 'applied' AS kind
  UNION ALL
  SELECT would ->> 'rule', 'would'
  FROM jsonb_array_elements(call.rules -> 'would') would
) said
WHERE call.rules IS NOT NULL AND call.intent_at >= %s
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Hits:
    """Calls on which a rule had a say (enforced) or would have had one (monitored)."""

    applied: int = 0
    would: int = 0
    last_at: datetime | None = None


def rule_hits(*, since: datetime) -> dict[str, Hits]:
    """Calls since a time by rule; rules without any are left out. One query."""
    found: dict[str, Hits] = {}
    with connection.cursor() as cursor:
        cursor.execute(_HITS, [since])
        for rule, kind, number, last_at in cursor.fetchall():
            known = found.get(rule, Hits())
            latest = max(filter(None, (known.last_at, last_at)))
            found[rule] = (
                Hits(number, known.would, latest)
                if kind == "applied"
                else Hits(known.applied, number, latest)
            )
    return found
