"""Replays of drafts as their page shows them, and the calls that they found."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, IntegerField, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from audit.web import Rights
from gateway.models import PolicyReplay
from policy.access import RUNS_READ

CHANGES = "would change"
DOUBTFUL = "cannot be decided"
GROUPS = ("rule", "team", "tool", "key", "environment")
_MOST_LISTED = 10


def visible_replays(rights: Rights) -> QuerySet[PolicyReplay]:
    """Replays over calls that one may see, without their rules."""
    rows, teams = PolicyReplay.objects.defer("rules"), rights.teams_for(RUNS_READ)
    return rows if teams is None else rows.filter(teams__contained_by=sorted(teams))


def replays_of(draft: str, rights: Rights) -> QuerySet[PolicyReplay]:
    """The newest replays of a draft with their sums alone, as ``changed`` and such."""
    rows = visible_replays(rights).filter(draft=draft).defer("rules", "result")
    sums = {
        name: Cast(KT(f"result__{name}"), IntegerField())
        for name in ("changed", "same", "undecidable")
    }
    found = rows.annotate(**sums, decided=F("changed") + F("same"))
    return found.order_by("-pk")[:_MOST_LISTED]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision in a replay: its effect, and who would have to agree."""

    text: str

    @property
    def effect(self) -> str:
        return self.text.partition(":")[0]

    @property
    def asked(self) -> str:
        return self.text.partition(": ")[2].replace(" (1)", "")


@dataclass(frozen=True, slots=True)
class Moved:
    """Decisions that would change in one way."""

    before: Outcome
    after: Outcome
    calls: int


@dataclass(frozen=True, slots=True)
class Found:
    """A call that a replay names: ``before`` and ``after`` where it can be decided."""

    finding: str
    row: Mapping[str, Any]
    before: Outcome | None = None
    after: Outcome | None = None

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.row["at"])

    @property
    def rules(self) -> Sequence[str]:
        return self.row["rules"]  # type: ignore[no-any-return]

    def matches(self, asked: Mapping[str, str]) -> bool:
        """Whether the call has all of these, by the names of ``FILTERS``."""
        return all(
            value in self.rules
            if name == "rule"
            else value == (self.row.get(FILTERS[name]) or "none")
            for name, value in asked.items()
            if value
        )


# Parameters of the address, and the fields that they name.
FILTERS = {
    "was": "before",
    "becomes": "after",
    "rule": "rules",
    "team": "team",
    "tool": "tool",
    "key": "key",
    "environment": "environment",
}


@dataclass(frozen=True, slots=True)
class Result:
    """What a replay that is done has found."""

    sums: Mapping[str, Any]

    @property
    def decided(self) -> int:
        """Calls that rules were asked about and that can be decided on again."""
        return int(self.sums["changed"] + self.sums["same"])

    @property
    def moved(self) -> list[Moved]:
        return [
            Moved(Outcome(one["before"]), Outcome(one["after"]), one["calls"])
            for one in self.sums["transitions"]
        ]

    @property
    def groups(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """Changes by rule, team and so on, the most frequent first."""
        return [(name, self.sums[f"by_{name}"]) for name in GROUPS]

    def changes(self, asked: Mapping[str, str]) -> list[Found]:
        """The newest calls on which the decision would change."""
        rows = (
            Found(CHANGES, one, Outcome(one["before"]), Outcome(one["after"]))
            for one in self.sums["changes"]
        )
        return [one for one in rows if one.matches(asked)]

    def doubtful(self) -> list[Found]:
        """The newest calls on which nothing can be said."""
        return [Found(DOUBTFUL, one) for one in self.sums["undecidable_calls"]]


EXPORT_COLUMNS = (
    "finding", "at", "run", "step", "tool", "team", "environment", "principal", "key",
    "recorded", "before", "after", "rules", "reasons",
)  # fmt: skip


def exported(result: Result, asked: Mapping[str, str]) -> Iterator[list[Any]]:
    """The calls that a replay names, for a download."""
    named = any(asked.values())
    for one in (*result.changes(asked), *(() if named else result.doubtful())):
        row = {
            **one.row,
            "finding": one.finding,
            "rules": ", ".join(one.rules),
            "reasons": "; ".join(one.row.get("reasons", ())),
        }
        yield [row.get(name, "") for name in EXPORT_COLUMNS]
