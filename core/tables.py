"""Lists that stay fast and can be linked to: pages by key or number, chips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, QueryDict

M = TypeVar("M", bound=Model)

PAGE_SIZE = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSITION = ("before", "after", "page", "export")


@dataclass(frozen=True, slots=True)
class KeysetPage(Generic[M]):
    """A page of rows, newest first, with links to its neighbours ("" for none)."""

    rows: Sequence[M]
    newer: str
    older: str


def keyset(
    queryset: QuerySet[M], request: HttpRequest, *, size: int = PAGE_SIZE
) -> KeysetPage[M]:
    """Rows by falling primary key, placed by ``?before=`` or ``?after=`` a key.

    It costs one query whatever the depth, and new rows do not shift the pages.
    """
    before = _number(request.GET.get("before"))
    after = _number(request.GET.get("after"))
    if after is not None:
        rows = list(queryset.filter(pk__gt=after).order_by("pk")[: size + 1])
        more_newer, more_older = len(rows) > size, True
        rows = rows[:size][::-1]
    else:
        if before is not None:
            queryset = queryset.filter(pk__lt=before)
        rows = list(queryset.order_by("-pk")[: size + 1])
        more_newer, more_older = before is not None, len(rows) > size
        rows = rows[:size]
    return KeysetPage(
        rows,
        newer=_link(request, after=rows[0].pk) if rows and more_newer else "",
        older=_link(request, before=rows[-1].pk) if rows and more_older else "",
    )


def keyset_by_time(
    queryset: QuerySet[M], request: HttpRequest, *, size: int = PAGE_SIZE
) -> KeysetPage[M]:
    """As ``keyset``, by falling ``at`` and primary key; places are ``micros-key``."""
    before, after = _place(request, "before"), _place(request, "after")
    if after is not None:
        at, key = after
        later = Q(at__gte=at) & (Q(at__gt=at) | Q(pk__gt=key))
        rows = list(queryset.filter(later).order_by("at", "pk")[: size + 1])
        more_newer, more_older = len(rows) > size, True
        rows = rows[:size][::-1]
    else:
        if before is not None:
            at, key = before
            queryset = queryset.filter(Q(at__lte=at) & (Q(at__lt=at) | Q(pk__lt=key)))
        rows = list(queryset.order_by("-at", "-pk")[: size + 1])
        more_newer, more_older = before is not None, len(rows) > size
        rows = rows[:size]
    return KeysetPage(
        rows,
        newer=_link(request, after=_place_of(rows[0])) if rows and more_newer else "",
        older=_link(request, before=_place_of(rows[-1])) if rows and more_older else "",
    )


def _place(request: HttpRequest, name: str) -> tuple[datetime, int] | None:
    micros, _, key = request.GET.get(name, "").partition("-")
    at, pk = _number(micros), _number(key)
    # Of the years 1970 to 2286.
    if at is None or pk is None or at >= 10**16:
        return None
    return _EPOCH + timedelta(microseconds=at), pk


def _place_of(row: Any) -> str:
    return f"{(row.at - _EPOCH) // timedelta(microseconds=1)}-{row.pk}"


def paged(rows: Any, request: HttpRequest, *, size: int = PAGE_SIZE) -> Page[Any]:
    """A numbered page of a list that is short enough to count (``?page=``)."""
    return Paginator(rows, size).get_page(request.GET.get("page"))


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in force, and the address of the same page without it."""

    label: str
    value: str
    without: str


def chips(request: HttpRequest, labels: Mapping[str, str]) -> tuple[Chip, ...]:
    """Chips for the parameters named in ``labels`` that have a value."""
    found = []
    for name, label in labels.items():
        for value in request.GET.getlist(name):
            if value:
                query = _query(request)
                query.setlist(
                    name, [other for other in query.getlist(name) if other != value]
                )
                found.append(Chip(label, value, f"{request.path}?{query.urlencode()}"))
    return tuple(found)


def filters_of(request: HttpRequest) -> dict[str, list[str]]:
    """The filters in the address, as an export puts them on record."""
    return dict(_query(request).lists())


def _query(request: HttpRequest) -> QueryDict:
    query = request.GET.copy()
    for name in _POSITION:
        query.pop(name, None)
    return query


def _link(request: HttpRequest, **position: int | str) -> str:
    query = _query(request)
    for name, value in position.items():
        query[name] = str(value)
    return f"{request.path}?{query.urlencode()}"


def _number(text: str | None) -> int | None:
    """A key out of the address; what is none is ignored like an absent one."""
    if text and text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    return None
