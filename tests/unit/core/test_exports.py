"""Downloads: safe in a spreadsheet, exact in JSON, streamed under ASGI."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.exports import cell, csv_lines, json_lines, respond


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd", "'+cmd"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2 items", "'-2 items"),
        ("\tx", "'\tx"),
        ("plain", "plain"),
        (-2, "-2"),
        (Decimal("0.000000400000"), "0.000000400000"),
        (None, ""),
        (datetime(2026, 11, 1, tzinfo=UTC), "2026-11-01T00:00:00+00:00"),
    ],
)
def test_cell_disarms_formulas_and_keeps_numbers(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_csv_quotes_what_needs_it() -> None:
    lines = list(csv_lines(["a", "b"], [["x,y", 'say "hi"']]))
    assert lines == ["a,b\r\n", '"x,y","say ""hi"""\r\n']


def test_json_lines_are_one_object_a_row() -> None:
    (line,) = json_lines(["a", "b"], [["=1+1", {"n": 1}]])
    assert json.loads(line) == {"a": "=1+1", "b": {"n": 1}}


def test_download_streams_row_by_row_under_asgi() -> None:
    asked: list[int] = []

    def rows() -> object:
        for number in range(40_000):
            asked.append(number)
            yield [number, "x" * 20]

    response = respond(name="n", form="csv", columns=["a", "b"], rows=rows())  # type: ignore[arg-type]

    async def first_then_rest() -> tuple[int, int]:
        pieces = aiter(response)
        await anext(pieces)
        after_first = len(asked)
        rest = [piece async for piece in pieces]
        return after_first, len(rest)

    after_first, rest = asyncio.run(first_then_rest())
    assert after_first < 5_000
    assert rest > 5
    assert len(asked) == 40_000
