"""The list of runs shows the period that is in force, and limits read as figures."""

import re

import pytest

from gateway.models import Run
from gateway.selectors.limits import limits_used
from tests.builders.identity import Cast
from tests.integration.gateway.pages.conftest import Browse


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ("", "Last 7 days"),
        ("?team=sales", "Last 7 days"),
        ("?period=24h", "Last 24 hours"),
        ("?period=all", "All time"),
        ("?first=2026-11-01", "Custom range"),
    ],
)
def test_the_select_shows_the_period_in_force(
    cast: Cast, browse: Browse, query: str, chosen: str
) -> None:
    html = browse(cast.member).get(f"/runs/{query}").content.decode()
    assert re.findall(r"<option value=\"\w+\" selected>([^<]+)", html)[0] == chosen
    # The default is no filter of the person's own making.
    assert ("Period: " in html) == ("period=" in query)


def test_counts_are_whole_and_measures_have_one_place() -> None:
    run = Run(
        stdout="x" * 512,
        tool_calls=1234,
        usage={"sandbox": {"wall_seconds": 1.25, "peak_memory_bytes": 2**20}},
    )
    text = {limit.label: limit.text for limit in limits_used(run)}
    assert text["Tool calls"] == "1,234 of 1,000 calls"
    assert text["Wall time"].startswith("1.2 of ")
    assert text["Memory"].startswith("1.0 of ")
    assert text["Output"].startswith("0.5 of ")
