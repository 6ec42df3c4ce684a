"""Streams tables as CSV or JSON lines; safe to open in a spreadsheet."""

import csv
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

# A cell that starts so is a formula to a spreadsheet (OWASP, CSV injection).
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_LINES_A_CHUNK = 500


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
    """One JSON object a row (JSON lines); amounts are text, so no digit is lost."""
    for row in rows:
        yield json.dumps(dict(zip(columns, row, strict=True)), default=_text) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


class Download(StreamingHttpResponse):
    """Streams under WSGI and ASGI alike.

    Django would read a synchronous iterator to its end before it sent a byte over
    ASGI; here a thread reads one part at a time.
    """

    async def __aiter__(self) -> AsyncIterator[bytes]:
        parts = iter(self)
        while (part := await sync_to_async(_next)(parts)) is not None:
            yield part


def respond(
    *, name: str, form: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> StreamingHttpResponse:
    """A streamed download of ``rows``; ``form`` is ``csv`` or ``json``."""
    lines = csv_lines if form == "csv" else json_lines
    kind = "text/csv" if form == "csv" else "application/x-ndjson"
    ending = "csv" if form == "csv" else "jsonl"
    return Download(
        _chunks(lines(columns, rows)),
        content_type=f"{kind}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.{ending}"'},
    )


def _next(parts: Iterator[bytes]) -> bytes | None:
    return next(parts, None)


def _chunks(lines: Iterator[str]) -> Iterator[str]:
    while chunk := "".join(islice(lines, _LINES_A_CHUNK)):
        yield chunk
