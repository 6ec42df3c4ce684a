"""Volume, rate and mix: hand-counted, and adding up whatever the figures."""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import total
from finops.mover_words import sku_words, why
from finops.movers import EMPTY, Item, Mover, Window, mover, movers, together

D = Decimal


def _window(calls: int, items: Mapping[str, tuple[str, str]]) -> Window:
    return Window(
        {sku: Item(D(quantity), D(cost)) for sku, (quantity, cost) in items.items()},
        {"calls": D(calls)},
    )


def _of(*values: object) -> tuple[object, ...]:
    return values


def _effects(found: Mover) -> tuple[object, ...]:
    return found.volume, found.rate, found.mix


def test_more_of_the_same_is_volume() -> None:
    before = _window(10, {"a": ("100", "2"), "b": ("50", "1")})
    now = _window(15, {"a": ("150", "3"), "b": ("75", "1.5")})
    found = mover("team", before, now, measures=["calls"])
    assert _effects(found) == (D("1.5"), 0, 0)
    assert _of(found.measure, found.activity_before, found.activity_now) == (
        "calls", 10, 15,
    )  # fmt: skip


def test_the_same_at_another_price_is_rate() -> None:
    before = _window(10, {"a": ("100", "2"), "b": ("50", "1")})
    now = _window(10, {"a": ("100", "5"), "b": ("50", "0.5")})
    found = mover("team", before, now, measures=["calls"])
    assert _effects(found) == (0, D("2.5"), 0)
    assert {part.sku: part.rate for part in found.parts} == {"a": 3, "b": D("-0.5")}


def test_other_things_for_as_many_calls_are_mix() -> None:
    before = _window(10, {"cheap": ("100", "1"), "dear": ("0", "0")})
    now = _window(10, {"cheap": ("50", "0.5"), "dear": ("50", "5")})
    assert _effects(mover("t", before, now, measures=["calls"])) == (0, 0, D("4.5"))


def test_all_three_at_once_by_hand() -> None:
    # 10 calls of 10 tokens at 0.10 become 20 calls of 15 tokens at 0.20.
    before = _window(10, {"tokens": ("100", "10")})
    now = _window(20, {"tokens": ("300", "60")})
    assert _effects(mover("t", before, now, measures=["calls"])) == (10, 30, 10)


def test_what_is_new_or_gone_is_volume() -> None:
    now = _window(3, {"a": ("1", "7")})
    assert _effects(mover("t", EMPTY, now, measures=["calls"])) == (7, 0, 0)
    assert _effects(mover("t", now, EMPTY, measures=["calls"])) == (-7, 0, 0)


def test_the_first_measure_that_both_have_is_taken() -> None:
    items = {"a": Item(D(1), D(4))}
    before = Window(items, {"calls": D(0), "runs": D(2)})
    now = Window(items, {"calls": D(3), "runs": D(1)})
    found = mover("t", before, now, measures=["calls", "runs"])
    assert _of(found.measure, found.volume, found.mix) == ("runs", -2, 2)
    none = mover("t", before, now, measures=["calls"])
    assert _of(none.measure, none.volume, none.rate) == ("", 0, 0)


_amount = st.decimals(
    min_value=0, max_value=10**9, places=12, allow_nan=False, allow_infinity=False
)
_quantity = st.decimals(
    min_value=0, max_value=10**12, places=9, allow_nan=False, allow_infinity=False
)
_items = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]), st.builds(Item, _quantity, _amount)
)
_windows = st.builds(
    Window,
    _items,
    st.dictionaries(st.sampled_from(["calls", "runs"]), st.integers(0, 10**9).map(D)),
)
_groups = st.dictionaries(st.sampled_from(["x", "y", "z"]), _windows)


@given(_groups, _groups)
def test_the_effects_are_the_whole_change_to_the_last_digit(
    before: dict[str, Window], now: dict[str, Window]
) -> None:
    found = movers(before, now, measures=["calls", "runs"])
    for one in found:
        assert total((one.volume, one.rate, one.mix)) == one.change
    whole = together("", found)
    assert total((whole.volume, whole.rate, whole.mix)) == whole.change
    cost = total(window.cost for window in now.values())
    was = total(window.cost for window in before.values())
    assert whole.change == total((cost, was.copy_negate()))
    changes = [abs(one.change) for one in found]
    assert changes == sorted(changes, reverse=True)


@given(_windows, st.integers(2, 9))
def test_as_much_again_is_all_volume(window: Window, times: int) -> None:
    more = Window(
        {
            sku: Item(item.quantity * times, item.cost * times)
            for sku, item in window.items.items()
        },
        {name: count * times for name, count in window.activities.items()},
    )
    found = mover("t", window, more, measures=["calls", "runs"])
    if not found.measure:
        return
    assert _of(found.rate, found.mix) == (0, 0)


def test_a_change_is_told_in_words() -> None:
    before = _window(
        10, {"tool/crm.list": ("10", "1"), "model/o/gpt-x/output": ("10", "1")}
    )
    now = _window(
        30, {"tool/crm.list": ("30", "3"), "model/o/gpt-x/output": ("60", "9")}
    )
    found = mover("t", before, now, measures=["calls"])
    assert why(found, "USD") == (
        "+10.00 USD: 20 more calls (+4.00), dearer output tokens of gpt-x (+3.00), "
        "mix: more output tokens of gpt-x (+3.00)"
    )
    less = mover("t", now, before, measures=["calls"])
    assert why(less, "USD").startswith("−10.00 USD: 20 fewer calls (−8.00), ")
    assert why(mover("t", EMPTY, before), "USD") == "+2.00 USD: new (+2.00)"
    assert why(mover("t", before, EMPTY), "USD") == "−2.00 USD: gone (−2.00)"
    assert why(mover("t", before, before, measures=["calls"]), "USD") == "no change"


@pytest.mark.parametrize(
    ("sku", "words"),
    [
        ("tool/crm.list", "calls of crm.list"),
        ("model/a/b/c/input", "fresh input tokens of b/c"),
        ("tokens/result", "tokens of results"),
        ("platform/licence", "platform/licence"),
    ],
)
def test_a_sku_has_words(sku: str, words: str) -> None:
    assert sku_words(sku) == words
