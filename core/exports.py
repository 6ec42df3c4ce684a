"""Streams tables as CSV or JSON lines; safe to open in a spreadsheet."""

import csv
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

_CHUNK_CHARACTERS = 64_000
# A cell that starts so is a formula to a spreadsheet (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> str:
    """Text of a value; formulas are disarmed with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int | float | Decimal):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


class _Echo:
    def write(self, line: str) -> str:
        return line


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """CSV text, a line at a time, header first."""
    writer = csv.writer(_Echo())
    yield writer.writerow(columns)
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


def json_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """One JSON object a row (JSON lines)."""
    for row in rows:
        yield json.dumps(dict(zip(columns, row, strict=True)), default=str) + "\n"


def chunks(lines: Iterable[str]) -> Iterator[str]:
    """Lines joined to pieces that are worth sending."""
    pending: list[str] = []
    characters = 0
    for line in lines:
        pending.append(line)
        characters += len(line)
        if characters > _CHUNK_CHARACTERS:
            yield "".join(pending)
            pending, characters = [], 0
    if pending:
        yield "".join(pending)


class Download(StreamingHttpResponse):
    """Streams under ASGI too, where Django would first collect all of it in memory."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self)
        step = sync_to_async(lambda: next(pieces, None), thread_sensitive=True)
        while (piece := await step()) is not None:
            yield piece


def respond(
    *, name: str, form: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Download:
    """A streamed download of ``rows``; ``form`` is ``csv`` or ``json``."""
    lines = csv_lines if form == "csv" else json_lines
    kind = "text/csv" if form == "csv" else "application/x-ndjson"
    ending = "csv" if form == "csv" else "jsonl"
    return Download(
        chunks(lines(columns, rows)),
        content_type=f"{kind}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.{ending}"'},
    )
