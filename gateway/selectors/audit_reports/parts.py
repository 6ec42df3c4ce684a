"""What an auditor's report is made of: columns, rows and figures.

Pages, CSV, JSON, PDF and REST all show the same columns of the same rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet

from audit.web import AUDIT_READ, Rights
from core.period import Period

M = TypeVar("M", bound=Model)
TEXT, AT, NUMBER, SECONDS, STATE, CODE = (
    "text",
    "at",
    "number",
    "seconds",
    "state",
    "code",
)
_BATCH = 500
UNUSED_DAYS = 90


@dataclass(frozen=True, slots=True)
class Column:
    """A column. One that is not ``shown`` is in exports and the API alone.

    ``width`` is its share of a printed page.
    """

    name: str
    label: str
    kind: str = TEXT
    width: float = 1
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """Values in the order of the columns, and addresses by column name.

    ``key`` names the row where it can be ticked.
    """

    values: tuple[Any, ...]
    links: Mapping[str, str] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A key figure; ``query`` narrows the report to what it counts."""

    name: str
    label: str
    value: Any
    kind: str = NUMBER
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Share:
    """How many rows have one value; ``query`` narrows the report to them."""

    label: str
    count: int
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is asked for: whose rows, in which period, with which filters."""

    rights: Rights
    at: datetime
    period: Period | None = None
    filters: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        return self.filters.get(name, "")

    @property
    def teams(self) -> frozenset[str] | None:
        """Teams whose rows may be seen; None stands for all."""
        return self.rights.teams_for(AUDIT_READ)

    @property
    def unused_since(self) -> datetime:
        """What was last used before this counts as unused."""
        return self.at - timedelta(days=UNUSED_DAYS)


@dataclass(frozen=True, slots=True)
class ByKey(Generic[M]):
    """Rows of a queryset, the newest first; ``shown`` makes rows of a batch."""

    queryset: QuerySet[M]
    shown: Callable[[Sequence[M]], list[Row]]

    def rows(self) -> Iterator[Row]:
        """All of them, read in batches by key."""
        below: Any = None
        found = self.queryset.order_by("-pk")
        while batch := list(
            (found if below is None else found.filter(pk__lt=below))[:_BATCH]
        ):
            yield from self.shown(batch)
            below = batch[-1].pk


@dataclass(frozen=True, slots=True)
class InOrder:
    """Rows in an order of their own, that can be counted, cut, or read as a whole."""

    counted: Callable[[], int]
    cut: Callable[[int, int], list[Row]]
    whole: Callable[[], Iterable[Row]]

    def count(self) -> int:
        return self.counted()

    def __getitem__(self, part: slice) -> list[Row]:
        return self.cut(part.start or 0, part.stop)

    def rows(self) -> Iterator[Row]:
        """All of them."""
        yield from self.whole()


@dataclass(frozen=True, slots=True)
class Found:
    """What a report found. ``shares`` are counts by heading; ``note`` bounds them."""

    figures: Sequence[Figure]
    listing: "ByKey[Any] | InOrder"
    shares: Mapping[str, Sequence[Share]] = field(default_factory=dict)
    note: str = ""


Choices = Callable[[], Sequence[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of a report: a list where it has ``choices``, else words."""

    name: str
    label: str
    choices: Choices | None = None
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One report. ``dated`` ones look at a period, the others at how things stand.

    ``ticks``: its rows can be marked as reviewed.
    """

    slug: str
    title: str
    lead: str
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...]
    find: Callable[[Asked], Found]
    nothing: str
    about: str
    dated: bool = True
    ticks: bool = False

    @property
    def shown(self) -> tuple[Column, ...]:
        """Columns of the page and the PDF."""
        return tuple(column for column in self.columns if column.shown)


def within(queryset: QuerySet[M], column: str, asked: Asked) -> QuerySet[M]:
    """Rows of the period, by a column of time."""
    if asked.period is None:
        return queryset
    return queryset.filter(
        **{f"{column}__gte": asked.period.start, f"{column}__lt": asked.period.end}
    )


def of_teams(queryset: QuerySet[M], column: str, asked: Asked) -> QuerySet[M]:
    """Rows of teams that may be seen, and of the one that is asked for."""
    if asked.teams is not None:
        queryset = queryset.filter(**{f"{column}__in": asked.teams})
    return queryset.filter(**{column: asked["team"]}) if asked["team"] else queryset
