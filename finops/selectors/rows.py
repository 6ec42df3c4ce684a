"""Reads the rows of a query that the ORM has no words for."""

from collections.abc import Mapping
from typing import Any

from django.db import connection

# Of ``finops_usageevent u``: a row that takes an unrated one back counts it no more.
UNRATED = """(count(*) FILTER (WHERE u.cost IS NULL AND u.reverses = '')
  - count(*) FILTER (WHERE u.cost IS NULL AND u.reverses <> ''))"""


def rows(query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of ``query``, each under the names of its columns."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
