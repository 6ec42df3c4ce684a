"""All that Tollgate has on record of a campaign, read once at its end."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit.models import Event
from finops.models import RunFact, UsageEvent
from gateway.models import Run, ToolCall


@dataclass(frozen=True, slots=True)
class Trail:
    """One audit event."""

    at: float
    name: str
    step: int | None
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one run."""

    run: Run
    name: str
    calls: Sequence[ToolCall]
    trail: Sequence[Trail]
    usage: Sequence[int | None]
    facts: int

    def events(self, name: str, step: int | None = None) -> list[Trail]:
        """The run's events of a kind, of one step where that is given."""
        return [
            one
            for one in self.trail
            if one.name == name and (step is None or one.step == step)
        ]


def entry_of(call: ToolCall) -> str:
    """The entry of a call, which names it in the ledger."""
    return str(json.loads(json.dumps(call.arguments)).get("entry", ""))


def seconds(at: datetime | None) -> float:
    """A time as the ledger writes it; 0 for none."""
    return at.timestamp() if at else 0.0


def _name_of(run: Run) -> str:
    """The script's name; a direct call's is a part of its entry."""
    arguments: Any = run.direct_arguments or {}
    return run.task.label or str(arguments.get("entry", "")).rpartition("-")[0]


def read_records() -> list[Kept]:
    """Every run with its journal, its trail and its bill; five queries."""
    calls: dict[int, list[ToolCall]] = defaultdict(list)
    for call in ToolCall.objects.order_by("run_id", "step"):
        calls[call.run_id].append(call)
    trail: dict[str, list[Trail]] = defaultdict(list)
    for event in Event.objects.exclude(run="").order_by("pk"):
        payload = json.loads(event.body).get("payload") or {}
        trail[event.run].append(
            Trail(seconds(event.at), event.name, event.step, payload)
        )
    usage: dict[str, list[int | None]] = defaultdict(list)
    billed = UsageEvent.objects.filter(kind=UsageEvent.Kind.TOOL_CALL)
    for uid, step in billed.values_list("run", "step"):
        usage[uid].append(step)
    facts: dict[str, int] = defaultdict(int)
    for uid in RunFact.objects.values_list("run", flat=True):
        facts[uid] += 1
    return [
        Kept(
            run,
            _name_of(run),
            calls[run.pk],
            trail[run.uid],
            usage[run.uid],
            facts[run.uid],
        )
        for run in Run.objects.select_related("task").order_by("pk")
    ]
