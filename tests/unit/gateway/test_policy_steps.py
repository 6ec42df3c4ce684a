"""Calls before a step of a run, whatever the order in which steps are looked at."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.policy_steps import Steps
from policy.facts import ToolFacts

A, B = ToolFacts("s.a", "s", "read"), ToolFacts("s.b", "s", "write")


@given(
    st.dictionaries(st.integers(1, 40), st.sampled_from([A, B])),
    st.lists(st.integers(0, 50)),
)
def test_it_counts_what_came_before(
    steps: dict[int, ToolFacts], looked_at: list[int]
) -> None:
    run = Steps(steps.items())
    for step in looked_at:
        made = run.made_before(step)
        for tool in (A, B):
            earlier = [one for at, one in steps.items() if at < step and one == tool]
            assert made[tool] == len(earlier)
