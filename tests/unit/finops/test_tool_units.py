"""Units that are read off arguments and results, which are hostile input."""

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.exchange import Exchange
from finops.price_book import PriceBook, Rate
from finops.price_rules import fault_of
from finops.tool_units import MOST, Measured, is_path, measure

AT = datetime(2026, 11, 20, tzinfo=UTC)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=3), one),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("result", [1, 2], Measured(Decimal(2))),
        ("result", [], Measured(Decimal(0))),
        ("result.rows", {"rows": [{}, {}, {}]}, Measured(Decimal(3))),
        ("result.page.total", {"page": {"total": 7}}, Measured(Decimal(7))),
        ("result.n", {"n": 0.25}, Measured(Decimal("0.25"))),
        ("result.n", {"n": MOST}, Measured(Decimal(MOST))),
        ("result.n", {"n": 1e-300}, Measured(Decimal("1E-300"))),
        ("result.n", {}, Measured(flaw="missing")),
        ("result.n", {"n": None}, Measured(flaw="missing")),
        ("result.n.m", {"n": [1]}, Measured(flaw="missing")),
        ("result.n", {"n": "12"}, Measured(flaw="no number")),
        ("result.n", {"n": True}, Measured(flaw="no number")),
        ("result.n", {"n": {}}, Measured(flaw="no number")),
        ("result.n", {"n": math.nan}, Measured(flaw="no number")),
        ("result.n", {"n": math.inf}, Measured(flaw="no number")),
        ("result.n", {"n": -1}, Measured(flaw="negative")),
        ("result.n", {"n": MOST + 1}, Measured(flaw="too large")),
        ("result.n", {"n": 10**400}, Measured(flaw="too large")),
        ("arguments.n", {"n": 1}, Measured(flaw="missing")),
    ],
)
def test_an_array_or_a_number_is_measured_and_nothing_else(
    path: str, value: Any, found: Measured
) -> None:
    assert measure(path, arguments={}, result=value) == found


@given(_JSON)
def test_whatever_comes_it_is_a_quantity_from_nought_or_has_a_flaw(value: Any) -> None:
    for path in ("result", "result.a", "arguments.b"):
        found = measure(path, arguments={"b": value}, result=value)
        assert 0 <= found.quantity <= MOST
        assert not (found.flaw and found.quantity)


@pytest.mark.parametrize(
    ("unit", "sku", "good"),
    [
        ("arguments.items", "tool/crm.*", True),
        ("result", "tool/crm.list", True),
        ("result.rows", "tokens/result", False),
        ("result.rows[0]", "tool/crm.list", False),
        ("result..rows", "tool/crm.list", False),
        ("arguments[0]", "tool/crm.list", False),
        ("arguments." + "a" * 60, "tool/crm.list", False),
        ("Requests", "tool/crm.list", True),
    ],
)
def test_a_path_is_a_unit_of_tools(unit: str, sku: str, good: bool) -> None:
    fault = fault_of(sku=sku, unit=unit, amount=Decimal(1))
    assert bool(fault) is not good


def test_a_book_knows_which_values_a_tool_is_priced_by() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    units = {"tool/crm.*": "result.rows", "tool/crm.list": "arguments.n", "tool/*": "x"}
    book = PriceBook(
        [
            Rate(number, sku, unit, Decimal(1), "USD", start)
            for number, (sku, unit) in enumerate(units.items())
        ],
        Exchange("USD", "UTC"),
    )
    assert book.paths("tool/crm.list", at=AT) == ("arguments.n", "result.rows")
    assert book.paths("tool/crm.get", at=AT) == ("result.rows",)
    assert book.paths("tool/erp.get", at=AT) == ()
    assert book.paths("tool/crm.list", at=start.replace(year=2025)) == ()
    assert not is_path("x")
