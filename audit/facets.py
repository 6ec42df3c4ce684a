"""Counts as the explorer shows them: links that add, take away or exclude a value."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.http import HttpRequest, QueryDict

from audit.counts import Bar, Counts
from audit.query import Term, Terms, Value, term, text_of
from core.tables import filters_of

TITLES = {
    "decision": "Decision",
    "name": "Event",
    "team": "Team",
    "env": "Environment",
    "actor": "Actor",
    "tool": "Tool",
}
_MOST_SHOWN = 8
_PERIOD = ("period", "first", "last")
WIDTH, HEIGHT = 600, 56


@dataclass(frozen=True, slots=True)
class Choice:
    """A value with the addresses of the list with, without and only without it."""

    value: str
    label: str
    count: int
    chosen: bool
    toggle: str
    exclude: str


@dataclass(frozen=True, slots=True)
class Facet:
    """A property of events and its most frequent values; ``others`` are not shown."""

    qualifier: str
    title: str
    choices: Sequence[Choice]
    others: int


@dataclass(frozen=True, slots=True)
class Column:
    """A bar of the histogram in the units of its drawing, and the events behind it."""

    bar: Bar
    x: str
    y: str
    width: str
    height: str
    url: str


def address(request: HttpRequest, terms: Terms, *, without: Sequence[str] = ()) -> str:
    """The same list from its first page with other terms."""
    query = QueryDict(mutable=True)
    for name, values in filters_of(request).items():
        if name not in ("q", *without):
            query.setlist(name, values)
    if terms:
        query["q"] = text_of(terms)
    return f"{request.path}?{query.urlencode()}"


def facets(request: HttpRequest, counts: Counts, terms: Terms) -> tuple[Facet, ...]:
    """Every facet that has values."""
    found = []
    for qualifier, title in TITLES.items():
        values = counts.facets[qualifier]
        choices = [
            Choice(
                one.value,
                one.label,
                one.count,
                chosen=_chosen(terms, qualifier, one.value),
                toggle=address(request, toggled(terms, qualifier, one.value)),
                exclude=address(
                    request, (*terms, term(qualifier, one.value, negated=True))
                ),
            )
            for one in values[:_MOST_SHOWN]
        ]
        if choices:
            others = max(0, len(values) - _MOST_SHOWN)
            found.append(Facet(qualifier, title, choices, others))
    return tuple(found)


def toggled(terms: Terms, qualifier: str, text: str) -> Terms:
    """Terms that ask for a value too, or no longer if they did."""
    value = Value(text)
    for at, one in enumerate(terms):
        if one.qualifier == qualifier and not one.negated:
            if value in one.values:
                kept = tuple(other for other in one.values if other != value)
            else:
                kept = (*one.values, value)
            changed = (replace(one, values=kept),) if kept else ()
            return (*terms[:at], *changed, *terms[at + 1 :])
    return (*terms, term(qualifier, text))


def columns(
    request: HttpRequest, bars: Sequence[Bar], terms: Terms
) -> tuple[Column, ...]:
    """The histogram: each bar leads to the list of its time."""
    most = max((bar.count for bar in bars), default=0)
    if not most:
        return ()
    step = WIDTH / len(bars)
    others = tuple(one for one in terms if one.qualifier not in ("after", "before"))
    found = []
    for at, bar in enumerate(bars):
        height = max(1.5, HEIGHT * bar.count / most) if bar.count else 0
        when = (_time("after", bar.start), _time("before", bar.end))
        url = address(request, (*others, *when), without=_PERIOD)
        found.append(
            Column(
                bar,
                x=f"{at * step:.2f}",
                y=f"{HEIGHT - height:.2f}",
                width=f"{step * 0.86:.2f}",
                height=f"{height:.2f}",
                url=f"{url}&period=all",
            )
        )
    return tuple(found)


def without_term(request: HttpRequest, terms: Terms, gone: Term) -> str:
    """The same list without one of its terms."""
    return address(request, tuple(one for one in terms if one != gone))


def _chosen(terms: Terms, qualifier: str, text: str) -> bool:
    return any(
        one.qualifier == qualifier and not one.negated and Value(text) in one.values
        for one in terms
    )


def _time(qualifier: str, at: datetime) -> Term:
    return term(qualifier, f"{at.astimezone(UTC):%Y-%m-%dT%H:%M}Z")
