"""Downloads: exact, streamed, and harmless in a spreadsheet."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.exports import cell, respond

ROWS = [
    ("=HYPERLINK()", Decimal("0.000000000001"), None, datetime(2026, 11, 1, tzinfo=UTC))
]
COLUMNS = ("name", "cost", "before", "at")


def _text(form: str) -> str:
    response = respond(name="costs", form=form, columns=COLUMNS, rows=ROWS)
    return b"".join(response).decode()


def test_csv_keeps_the_last_digit_and_disarms_formulas() -> None:
    assert _text("csv") == (
        "name,cost,before,at\r\n"
        "'=HYPERLINK(),0.000000000001,,2026-11-01T00:00:00+00:00\r\n"
    )


def test_json_lines_keep_amounts_as_text() -> None:
    assert json.loads(_text("json")) == {
        "name": "=HYPERLINK()",
        "cost": "0.000000000001",
        "before": None,
        "at": "2026-11-01T00:00:00+00:00",
    }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_negative_numbers_stay_numbers() -> None:
    assert cell(Decimal("-0.5")) == "-0.5"
    assert cell(-3) == "-3"


def test_over_asgi_a_part_is_sent_before_the_last_row_is_read() -> None:
    read = 0

    def rows() -> Iterator[tuple[int]]:
        nonlocal read
        for number in range(2_000):
            read += 1
            yield (number,)

    async def first_part() -> int:
        response = respond(name="n", form="csv", columns=["n"], rows=rows())
        async for _ in response:
            return read
        return -1

    assert 0 < asyncio.run(first_part()) < 1_000


def test_wsgi_and_asgi_send_the_same() -> None:
    async def collect() -> bytes:
        rows = [(number,) for number in range(1_234)]
        response = respond(name="n", form="csv", columns=["n"], rows=rows)
        return b"".join([part async for part in response])

    plain = respond(
        name="n", form="csv", columns=["n"], rows=[(number,) for number in range(1_234)]
    )
    assert asyncio.run(collect()) == b"".join(plain)
