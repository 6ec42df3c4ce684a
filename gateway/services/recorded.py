"""Writes a change together with its audit event, in one statement."""

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from audit.models import Event
from audit.services.record import insert_from
from core.prepared import Sent, prepared_cursor


def write(
    statement: str, event: Event, source: str, values: Mapping[str, Any]
) -> tuple[Any, ...] | None:
    """Execute ``statement`` with the event's INSERT in the place of ``{event}``.

    The event is inserted for each row of ``source``, a part of the statement. Returns
    the first row, if there is one.
    """
    with prepared_cursor() as cursor:
        cursor.execute(*_whole(statement, event, source, values))
        return cast("tuple[Any, ...] | None", cursor.fetchone())


def send(statement: str, event: Event, source: str, values: Mapping[str, Any]) -> Sent:
    """Begin to do what ``write`` does; its row comes later."""
    return Sent(*_whole(statement, event, source, values))


def _whole(
    statement: str, event: Event, source: str, values: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    insert, event_values = insert_from(event, source=source)
    names = _names(len(event_values))
    return (
        _combined(statement, insert),
        dict(values) | dict(zip(names, event_values, strict=True)),
    )


@cache
def _names(count: int) -> list[str]:
    return [f"event_{number}" for number in range(count)]


@cache
def _combined(statement: str, insert: str) -> str:
    names = _names(insert.count("%s::"))
    named = insert.replace("%s::", "%({})s::").format(*names)
    return statement.replace("{event}", named)
