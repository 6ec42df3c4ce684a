"""Pages, look-ups and date filters that the demo servers share."""

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import islice
from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

Limit = Annotated[int, Field(ge=1, le=1000, description="Rows per page, up to 1000")]
Cursor = Annotated[
    str | None, Field(description="`next_cursor` of the page before; none to begin")
]
Day = Annotated[str, Field(description="A day as YYYY-MM-DD")]
OptionalDay = Annotated[str | None, Field(description="A day as YYYY-MM-DD")]
Ids = Annotated[list[str], Field(min_length=1, max_length=1000)]


def day(text: str | None, name: str) -> str:
    """The day as it is written, or empty; refuses what is no day."""
    if text is None:
        return ""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ToolError(
            f"{name} must be a day such as 2026-04-01, not {text!r}"
        ) from None


def page(
    rows: Iterable[Any], limit: int, cursor: str | None
) -> tuple[list[Any], str | None]:
    """One page of the rows, and the cursor of the next page if there is one."""
    start = 0
    if cursor:
        digits = cursor.removeprefix("after-")
        if not digits.isdigit() or digits == cursor:
            raise ToolError(f"cursor {cursor!r} is not one that this server gave")
        start = int(digits)
    found = list(islice(rows, start, start + limit + 1))
    more = len(found) > limit
    return found[:limit], f"after-{start + limit}" if more else None


def find(table: Mapping[str, dict[str, Any]], key: str, what: str) -> dict[str, Any]:
    """The row of this id, or an error that shows what ids look like."""
    if key not in table:
        example = next(iter(table), "-")
        raise ToolError(f"There is no {what} {key!r}. Ids look like {example}.")
    return table[key]


def find_many(
    table: Mapping[str, dict[str, Any]], keys: Iterable[str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of these ids in their order, each once, and the ids not found."""
    wanted = list(dict.fromkeys(keys))
    return [table[k] for k in wanted if k in table], [
        k for k in wanted if k not in table
    ]
