"""Prices find their place in a book that is valid in time."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from finops.exchange import Exchange
from finops.price_book import PriceBook, Rate
from finops.price_csv import COLUMNS, parse, row_of
from finops.price_plan import Line, plan
from finops.public_prices import published

START = datetime(2026, 1, 1, tzinfo=UTC)
_DAYS = st.integers(0, 30)


def _line(amount: int, day: int, until: int | None = None) -> Line:
    end = None if until is None else START + timedelta(days=until)
    start = START + timedelta(days=day)
    return Line("tool/x", "Requests", Decimal(amount), "USD", start, end)


def _amount(lines: list[Line], at: datetime) -> Decimal | None:
    found = [
        line.amount
        for line in lines
        if line.valid_from <= at and (line.valid_to is None or at < line.valid_to)
    ]
    assert len(found) <= 1, "two prices at one time"
    return found[0] if found else None


@given(st.lists(st.tuples(_DAYS, st.integers(1, 10), st.integers(0, 9)), max_size=8))
def test_each_price_holds_for_its_time_and_nothing_else_moves(
    asked: list[tuple[int, int, int]],
) -> None:
    book: list[Line] = []
    for number, (day, length, amount) in enumerate(asked):
        before = list(book)
        wanted = _line(amount, day, day + length)
        found = plan(book, [wanted])
        book = [line for line in book if line not in found.ended]
        book += [
            replace(line, id=number * 100 + n) for n, line in enumerate(found.added)
        ]
        for hour in range(0, 45 * 24, 12):
            at = START + timedelta(hours=hour)
            inside = wanted.valid_from <= at < START + timedelta(days=day + length)
            assert _amount(book, at) == (amount if inside else _amount(before, at))
        assert plan(book, [wanted]).added == ()
        assert plan(book, [wanted]).same == 1


def test_an_open_price_lasts_until_the_next_and_ends_the_one_before() -> None:
    book = [replace(_line(1, 0, 20), id=1), replace(_line(3, 20), id=2)]
    found = plan(book, [_line(2, 10)])
    assert found.ended == (book[0],)
    assert set(found.added) == {_line(1, 0, 10), _line(2, 10, 20)}
    assert [change.before for change in found.changes] == [1]


def test_hours_are_a_slot_of_their_own_and_win_within_them() -> None:
    night = replace(_line(1, 0), daily_from=time(16, 30), daily_to=time(0, 30))
    assert plan([replace(_line(3, 0), id=1)], [night]).ended == ()
    book = PriceBook(
        (
            Rate(
                id=number,
                sku=line.sku,
                unit=line.unit,
                amount=line.amount,
                currency=line.currency,
                valid_from=line.valid_from,
                daily_from=line.daily_from,
                daily_to=line.daily_to,
            )
            for number, line in enumerate([_line(3, 0), night])
        ),
        Exchange("USD", "UTC"),
    )
    for hour, minute, amount in ((16, 29, 3), (16, 30, 1), (0, 29, 1), (0, 30, 3)):
        at = START.replace(hour=hour, minute=minute)
        rate = book.rate("tool/x", unit="Requests", at=at)
        assert rate is not None
        assert rate.amount == amount


HEAD = "sku,unit,amount,valid_from,valid_to,daily_from,daily_to\n"


def _parse(body: str) -> list[Line]:
    return parse(HEAD + body, currency="USD", zone="Europe/Zurich")


def test_a_file_of_the_book_reads_as_the_book() -> None:
    line = Line(
        "model/a/b/input",
        "Tokens",
        Decimal("0.000000075"),
        "EUR",
        START,
        START + timedelta(days=1),
        time(16, 30),
        time(0, 30),
        "CSV",
    )
    text = ",".join(COLUMNS) + "\n"
    text += ",".join(
        value.isoformat() if isinstance(value, datetime) else f"{value}"
        for value in row_of(line)
    )
    assert parse(text, currency="USD", zone="UTC") == [line]
    day = _parse("tool/x,Requests,1,2026-07-01,,,")[0].valid_from
    assert day == datetime(2026, 6, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("tool,Requests,1,2026-01-01,,,", "is no SKU"),
        ("tool/x,,1,2026-01-01,,,", "Name the unit"),
        ("tool/x,Requests,1.2.3,2026-01-01,,,", "'1.2.3' is no number"),
        ("tool/x,Requests,NaN,2026-01-01,,,", "from 0 up"),
        ("tool/x,Requests,-1,2026-01-01,,,", "from 0 up"),
        ("tool/x,Requests,1,01/02/2026,,,", "is no date"),
        ("tool/x,Requests,1,2026-01-01T00:00:00,,,", "has no offset"),
        ("tool/x,Requests,1,2026-01-02,2026-01-02,,", "after valid_from"),
        ("tool/x,Requests,1,2026-01-01,,08:00,", "give both"),
        ("tool/x,Requests,1,2026-01-01,,25:00,08:00", "is no hour"),
        ("tool/x,Requests,1,2026-01-01,,,,,9", "more values"),
        ("tool/y,Requests,2,2026-01-01,,,", "same price as in line 2"),
    ],
)
def test_a_mistake_names_its_line(body: str, message: str) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        _parse(f"tool/y,Requests,1,2026-01-01,,,\n{body}\n")
    assert caught.value.details["mistakes"] == [caught.value.message]
    assert caught.value.message.startswith("Line 3: ")


def test_public_prices_are_dated_hourly_and_complete() -> None:
    lines = published(["deepseek", "openai"])
    assert len({(line.slot, line.valid_from) for line in lines}) == len(lines)
    kinds = {
        line.sku.rpartition("/")[2]: line.amount
        for line in lines
        if line.sku.startswith("model/openai/gpt-4o/")
    }
    assert kinds == {
        "input": Decimal("0.0000025"),
        "cached_read": Decimal("0.00000125"),
        "cache_write": Decimal("0.0000025"),
        "output": Decimal("0.00001"),
        "reasoning": Decimal("0.00001"),
    }
    hourly = [line for line in lines if line.daily_from]
    assert {line.hours for line in hourly} >= {"00:30-16:30 UTC"}
    dated = [
        line for line in lines if line.sku == "model/deepseek/deepseek-v4-pro/input"
    ]
    whole_day = sorted(
        (line for line in dated if line.daily_from is None),
        key=lambda one: one.valid_from,
    )
    assert whole_day[0].valid_to == whole_day[1].valid_from
    with pytest.raises(Invalid, match="Unknown provider nobody"):
        published(["nobody"])
