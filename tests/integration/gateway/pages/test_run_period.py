"""The list of runs shows the period that is in force, and limits read as figures."""

import re

import pytest

from gateway.models import Run
from gateway.selectors.limits import limits_used
from tests.builders.holds import make_held_run
from tests.builders.identity import Cast
from tests.builders.runs import make_call
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


def test_a_run_that_waits_counts_the_calls_on_record(
    cast: Cast, browse: Browse
) -> None:
    run = make_held_run(team=cast.team.slug)
    make_call(run, step=1)
    make_call(run, step=2, outcome="tool_error")
    # They are counted when it ends.
    Run.objects.update(tool_calls=0, successful_calls=0)
    html = browse(cast.member).get(f"/runs/{run.uid}/").content.decode()
    assert "<dt>Calls</dt><dd>1 / 2</dd>" in html
    assert 'Journal <span class="tg-badge">2</span>' in html


def test_counts_are_whole_and_small_measures_have_more_places() -> None:
    run = Run(
        stdout="x" * 5,
        value="x" * 1_022,
        tool_calls=1234,
        usage={"sandbox": {"wall_seconds": 1.25, "peak_memory_bytes": 2**20}},
    )
    text = {limit.label: limit.text for limit in limits_used(run)}
    assert text["Tool calls"] == "1,234 of 1,000 calls"
    assert text["Wall time"].startswith("1.2 of ")
    assert text["Memory"].startswith("1.0 of ")
    assert text["Output"].startswith("0.0049 of ")
    assert text["Result"] == "1.0 of 1,024 kB"
