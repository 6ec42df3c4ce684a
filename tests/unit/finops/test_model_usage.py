"""A model's tokens come apart without one counted twice."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from finops.model_usage import ModelUsage, model_sku

_COUNT = st.integers(0, 10**9)


@given(_COUNT, _COUNT, _COUNT, _COUNT, _COUNT)
def test_parts_add_up_to_input_and_output(
    fresh: int, cached: int, written: int, said: int, reasoned: int
) -> None:
    usage = ModelUsage(
        input=fresh + cached + written,
        output=said + reasoned,
        cached_read=cached,
        cache_write=written,
        reasoning=reasoned,
    )
    parts = dict(usage.parts())
    assert sum(parts.values()) == fresh + cached + written + said + reasoned
    named = {"input": fresh, "cached_read": cached, "cache_write": written}
    named |= {"output": said, "reasoning": reasoned}
    assert parts == {kind: Decimal(number) for kind, number in named.items() if number}


def test_what_is_not_said_is_no_part() -> None:
    assert list(ModelUsage(input=10).parts()) == [("input", Decimal(10))]
    assert list(ModelUsage(cached_read=3).parts()) == [("cached_read", Decimal(3))]
    assert list(ModelUsage().parts()) == []


@pytest.mark.parametrize(
    "usage",
    [
        ModelUsage(input=5, cached_read=6),
        ModelUsage(input=5, cached_read=3, cache_write=3),
        ModelUsage(output=1, reasoning=2),
        ModelUsage(input=-1),
        ModelUsage(input=2, cached_read=-1),
    ],
)
def test_a_part_beyond_its_whole_is_refused(usage: ModelUsage) -> None:
    with pytest.raises(Invalid, match="includes"):
        list(usage.parts())


def test_the_sku_of_a_model_fits_and_keeps_its_kind() -> None:
    assert model_sku("openai", "gpt-5", "input") == "model/openai/gpt-5/input"
    assert model_sku("x", "a b@c", "output") == "model/x/a-b-c/output"
    long = model_sku("x", "m" * 300, "cached_read")
    assert len(long) == 200
    assert long.endswith("/cached_read")
