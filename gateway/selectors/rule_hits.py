"""How often each rule had a say, or would have had one, by the journal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from gateway.models import Run, ToolCall
from gateway.rule_words import EFFECT_WORDS
from policy.access import RUNS_READ, Access

HIT_DAYS = 7
_MOST_COUNTED = 50_000
_MOST_SHOWN = 20
# The journal keeps this for few calls; a partial index finds them.
_HITS = """
WITH looked AS MATERIALIZED (
  SELECT rules, intent_at FROM gateway_toolcall
  WHERE rules IS NOT NULL AND intent_at >= %s ORDER BY intent_at DESC LIMIT %s
)
SELECT said.rule, said.kind, count(*), max(looked.intent_at)
FROM looked
CROSS JOIN LATERAL (
  SELECT jsonb_array_elements_text(looked.rules -> 'applied') AS rule, 'applied' AS kind
  UNION ALL
  SELECT would ->> 'rule', 'would'
  FROM jsonb_array_elements(looked.rules -> 'would') would
) said
GROUP BY 1, 2
UNION ALL
SELECT '', 'looked', count(*), min(intent_at) FROM looked
"""


@dataclass(frozen=True, slots=True)
class Hits:
    """Calls on which a rule had a say (enforced) or would have had one (monitored)."""

    applied: int = 0
    would: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recent:
    """Calls by rule in the last ``HIT_DAYS``; where there are too many, ``back_to``."""

    by_rule: dict[str, Hits] = field(default_factory=dict)
    back_to: datetime | None = None

    def of(self, rules: Iterable[Mapping[str, Any]]) -> dict[str, Hits]:
        """The counts of these rules, those without calls too."""
        return {rule["id"]: self.by_rule.get(rule["id"], Hits()) for rule in rules}


def rule_hits(*, since: datetime) -> dict[str, Hits]:
    """Calls since a time by rule; rules without any are left out. One query."""
    return _counted(since, None).by_rule


def recent_hits(*, at: datetime) -> Recent:
    """What a page shows beside rules: bounded in its cost, one query."""
    return _counted(at - timedelta(days=HIT_DAYS), _MOST_COUNTED)


def _counted(since: datetime, most: int | None) -> Recent:
    found: dict[str, Hits] = {}
    back_to = None
    with connection.cursor() as cursor:
        cursor.execute(_HITS, [since, most])
        for rule, kind, number, at in cursor.fetchall():
            if kind == "looked":
                back_to = at if number == most else None
                continue
            known = found.get(rule, Hits())
            latest = max(filter(None, (known.last_at, at)))
            found[rule] = (
                Hits(number, known.would, latest)
                if kind == "applied"
                else Hits(known.applied, number, latest)
            )
    return Recent(found, back_to)


@dataclass(frozen=True, slots=True)
class Hit:
    """A call on which a rule had a say; ``would`` is what it would have done."""

    call: ToolCall
    would: str


def calls_hit(rule: str, access: Access, *, at: datetime) -> Sequence[Hit]:
    """The newest calls of the last days on which the rule had a say or would have."""
    applied = Q(rules__applied__contains=[rule])
    would = Q(rules__would__contains=[{"rule": rule}])
    rows = (
        ToolCall.objects.filter(
            applied | would,
            rules__isnull=False,
            intent_at__gte=at - timedelta(days=HIT_DAYS),
            run__in=Run.objects.visible_to(access, RUNS_READ),
        )
        .select_related("run")
        .defer("arguments", "result", "run__code", "run__value", "run__stdout")
        .order_by("-intent_at", "-pk")[:_MOST_SHOWN]
    )
    return [Hit(call, _would(call, rule)) for call in rows]


def _would(call: ToolCall, rule: str) -> str:
    named = (call.rules or {}).get("would", ())
    effect = next((one["effect"] for one in named if one["rule"] == rule), "")
    return f"would {EFFECT_WORDS.get(effect, effect).lower()}" if effect else ""
