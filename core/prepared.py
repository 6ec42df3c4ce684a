"""A cursor whose statements the server plans once a connection."""

from collections.abc import Generator, Mapping
from functools import cache
from typing import Any, cast
from weakref import WeakKeyDictionary

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.db.models import Model


def prepared_cursor() -> CursorWrapper:
    """A cursor for the few statements that run with every call.

    Django's own cursors put the values into the text, so that the server parses and
    plans each anew, which costs more than running it. Values are bound by the server
    here: give their types where it cannot tell, as in ``%s::jsonb``.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    held = connection.connection
    held.prepare_threshold = 0
    raw = cast("CursorWrapper", psycopg.Cursor(held))
    if connection.queries_logged:
        return connection.make_debug_cursor(raw)
    return connection.make_cursor(raw)


def insert(row: Model) -> None:
    """Save a new row as ``save(force_insert=True)`` does, planned once."""
    statement, fields = _inserting(type(row))
    values = [
        field.get_db_prep_save(field.pre_save(row, add=True), connection)
        for field in fields
    ]
    with prepared_cursor() as cursor:
        cursor.execute(statement, values)
        row.pk = cursor.fetchone()[0]
    row._state.adding = False
    row._state.db = connection.alias


@cache
def _inserting(model: type[Model]) -> tuple[str, list[Any]]:
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(str(field.column) for field in fields)
    values = ", ".join(f"%s::{field.db_type(connection)}" for field in fields)
    table, key = model._meta.db_table, model._meta.pk.column
    return (
        f"INSERT INTO {table} ({columns}) VALUES ({values}) "  # noqa: S608 - own names
        f"RETURNING {key}",
        fields,
    )


# Statements that a connection has planned: before that it takes two round trips.
_planned: WeakKeyDictionary[psycopg.Connection, set[str]] = WeakKeyDictionary()


class Sent:
    """A statement that this thread's connection is busy with.

    Nothing else may be asked of the connection until ``first_row`` has returned.
    """

    def __init__(self, statement: str, values: Mapping[str, Any]) -> None:
        """Send the statement, as far as the server has planned it before."""
        self._steps: Generator[Any, Any, None] | None = None
        cursor = prepared_cursor()
        held = connection.connection
        planned = _planned.setdefault(held, set())
        if statement not in planned or connection.queries_logged:
            cursor.execute(statement, values)
            planned.add(statement)
            self._cursor: psycopg.Cursor = cast("Any", cursor).cursor
            return
        self._cursor = cast("Any", cursor).cursor
        self._held = held
        self._steps = self._cursor._execute_gen(statement, values)
        with connection.wrap_database_errors:
            self._awaited = next(self._steps)

    def first_row(self) -> tuple[Any, ...] | None:
        """Wait for the statement's end; the first row, if there is one."""
        with connection.wrap_database_errors:
            if self._steps is not None:
                self._held.wait(self._rest(self._steps))
            return self._cursor.fetchone()

    def _rest(self, steps: Generator[Any, Any, None]) -> Generator[Any, Any, None]:
        try:
            while True:
                ready = yield self._awaited
                self._awaited = steps.send(ready)
        except StopIteration:
            return
