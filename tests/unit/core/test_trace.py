"""Which trace a request belongs to."""

import pytest

from core.trace import trace_id_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
GOOD = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.mark.parametrize("header", [GOOD, f"cc{GOOD[2:]}-what-comes-later"])
def test_a_traceparent_names_its_trace(header: str) -> None:
    assert trace_id_of(header) == TRACE


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        GOOD.upper(),
        f"ff{GOOD[2:]}",
        f"{GOOD}-more",
        f"01{GOOD[2:]}.more",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"\n{GOOD}",
    ],
)
def test_what_is_not_well_formed_names_none(header: str) -> None:
    assert trace_id_of(header) == ""
