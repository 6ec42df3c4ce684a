"""Scripts against direct calls over the same tools: weights, intervals and words."""

import math
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finops.mode_words import comparison_row, says
from finops.modes import Comparison, Stratum, Tally, compare, means, shares


def tally(tasks: int, first_try: int, **more: Any) -> Tally:
    return Tally(tasks=tasks, first_try=first_try, completed=tasks, **more)


def stratum(mode: str, tools: str, tasks: int, first_try: int, **more: Any) -> Stratum:
    values: dict[str, Any] = {"model": "m", "known": "estimated"}
    values |= {name: more.pop(name) for name in ("model", "known") if name in more}
    return Stratum(
        mode=mode,
        tools=tuple(tools.split()),
        tally=tally(tasks, first_try, **more),
        **values,
    )


def by_mode(*strata: Stratum) -> Comparison:
    return compare(
        strata,
        one=lambda one: one.mode == "script",
        other=lambda one: one.mode == "direct",
        alike=lambda one: one.model,
        names=("Scripts", "Direct calls"),
    )


def test_only_tasks_with_the_same_tools_and_model_are_compared() -> None:
    found = by_mode(
        stratum("script", "crm.list crm.get", 40, 36),
        stratum("direct", "crm.list crm.get", 60, 30),
        stratum("script", "web.fetch", 500, 0),
        stratum("direct", "crm.list", 700, 700),
        stratum("script", "crm.list crm.get", 90, 1, model="other"),
    )
    assert [side.tasks for side in found.like] == [40, 60]
    assert [side.tasks for side in found.whole] == [630, 760]
    assert found.tool_sets == 1
    assert found.first_try is not None
    assert (found.first_try.one, found.first_try.other) == (0.9, 0.5)
    assert found.first_try.shown


def test_what_confuses_the_whole_does_not_confuse_the_comparison() -> None:
    # Direct calls win by far over all tasks, since they had the easy ones alone:
    # within each set of tools there is no difference (Simpson's paradox).
    found = by_mode(
        stratum("script", "hard", 300, 60),
        stratum("direct", "hard", 50, 10),
        stratum("script", "easy", 50, 45),
        stratum("direct", "easy", 300, 270),
    )
    one, other = found.whole
    assert one.first_try / one.tasks < 0.35
    assert other.first_try / other.tasks > 0.75
    assert found.first_try is not None
    assert found.first_try.value == pytest.approx(0)
    assert not found.first_try.shown
    assert "No difference in first-try success can be shown" in says(found)


def test_measured_tokens_are_not_held_against_estimated_ones() -> None:
    def with_tokens(mode: str, known: str, each: int) -> Stratum:
        return stratum(
            mode,
            "t",
            40,
            40,
            known=known,
            tokens=40 * each,
            tokens_squared=40.0 * each * each + 40,
        )

    found = by_mode(
        with_tokens("script", "measured", 100), with_tokens("direct", "estimated", 900)
    )
    assert found.tokens is None
    assert found.first_try is not None
    found = by_mode(
        with_tokens("script", "measured", 100),
        with_tokens("direct", "measured", 400),
        with_tokens("direct", "estimated", 9000),
    )
    assert found.tokens is not None
    assert (found.tokens.one, found.tokens.other) == (100, 400)
    assert found.tokens.high is not None
    assert -301 < found.tokens.value < found.tokens.high < -299
    assert "Scripts needed fewer tokens a task: 100 against 400" in says(found)


@pytest.mark.parametrize(
    ("script", "direct", "words"),
    [
        (29, 900, "Too few tasks to conclude anything: 29 against 900"),
        (30, 0, "Nothing can be said: no task of the one"),
    ],
)
def test_too_few_tasks_conclude_nothing(script: int, direct: int, words: str) -> None:
    strata = [stratum("script", "t", script, script)]
    if direct:
        strata.append(stratum("direct", "t", direct, 0))
    found = by_mode(*strata)
    assert words in says(found)
    assert not found.enough
    assert "Scripts succeeded" not in says(found)
    assert "a difference" not in {one.says for one in comparison_row(found).measures}


def test_a_difference_is_told_with_its_interval_and_its_limits() -> None:
    found = by_mode(stratum("script", "t", 100, 92), stratum("direct", "t", 100, 71))
    said = says(found)
    assert said.startswith(
        "Scripts succeeded at first try more often: 92.0 % against 71.0 %, a "
        "difference of +21.0 points ("
    )
    assert "its cause is not shown" in said
    assert found.first_try is not None
    # Newcombe's own interval of these counts, by another way: 10.4 to 31.2 points.
    assert found.first_try.low == pytest.approx(0.104, abs=0.01)
    assert found.first_try.high == pytest.approx(0.312, abs=0.01)


@given(st.lists(st.tuples(*[st.integers(1, 50)] * 4), max_size=8))
def test_sides_swapped_are_the_same_difference(counts: list[tuple[int, ...]]) -> None:
    pairs = [(tally(a, min(a, x)), tally(b, min(b, y))) for a, x, b, y in counts]
    there = shares(pairs, lambda one: one.first_try)
    back = shares([(b, a) for a, b in pairs], lambda one: one.first_try)
    if there is None or back is None:
        assert not pairs
        return
    assert there.low is not None
    assert there.high is not None
    assert back.high is not None
    assert -1 <= there.low <= there.value + 1e-9
    assert there.value <= there.high + 1e-9
    assert math.isclose(there.value, -back.value, abs_tol=1e-9)
    assert math.isclose(there.low, -back.high, abs_tol=1e-9)


def test_intervals_hold_the_truth_about_95_times_of_100() -> None:
    chance = random.Random(7)
    held_shares = held_means = 0
    for _ in range(400):
        pairs = []
        for a, b, base in ((20, 35, 0.4), (40, 12, 0.7), (15, 15, 0.2)):
            sides = []
            for tasks, lift in ((a, 0.15), (b, 0.0)):
                costs = [chance.gauss(10 * base + lift * 20, 2) for _ in range(tasks)]
                sides.append(
                    tally(
                        tasks,
                        sum(chance.random() < base + lift for _ in range(tasks)),
                        cost=Decimal(repr(sum(costs))),
                        cost_squared=sum(one * one for one in costs),
                    )
                )
            pairs.append((sides[0], sides[1]))
        share = shares(pairs, lambda one: one.first_try)
        mean = means(pairs, lambda one: (float(one.cost), one.cost_squared))
        assert share is not None
        assert share.low is not None
        assert share.high is not None
        assert mean is not None
        assert mean.low is not None
        assert mean.high is not None
        held_shares += share.low <= 0.15 <= share.high
        held_means += mean.low <= 3.0 <= mean.high
    assert 368 <= held_shares <= 396
    assert 368 <= held_means <= 394
