"""A cursor whose statements the server plans once a connection."""

from typing import cast

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper


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
