"""A campaign's faults and scripts are drawn from its seed, and nothing else."""

import ast
import random
from itertools import islice, pairwise

from tests.soak.faults import ENGINES, STOP, VICTIMS, plan
from tests.soak.scripts import scripts


def test_a_seed_gives_the_same_plan_each_time() -> None:
    assert plan(seed=7, seconds=240) == plan(seed=7, seconds=240)
    assert plan(seed=7, seconds=240) != plan(seed=8, seconds=240)


def test_a_plan_has_each_victim_and_leaves_it_time_to_come_back() -> None:
    planned = plan(seed=7, seconds=600)
    assert {(one.victim, one.means) for one in planned} == {
        (victim, means) for victim in VICTIMS for means in ("kill", STOP)
    }
    for victim in VICTIMS:
        own = [one for one in planned if one.victim == victim]
        for one, after in pairwise(own):
            assert after.at > one.until + (6 if victim in ENGINES else 2)


def test_scripts_differ_in_shape_and_language_and_repeat_with_the_seed() -> None:
    made = list(islice(scripts("a", random.Random("7 a")), 80))
    again = list(islice(scripts("a", random.Random("7 a")), 80))
    assert made == again
    assert {(one.shape, one.language) for one in made} == {
        ("sequential", "python"),
        ("gather", "python"),
        ("sequential", "typescript"),
        ("gather", "typescript"),
        ("direct", ""),
    }
    entries = [step.entry for one in made for step in one.steps]
    assert len(entries) == len(set(entries))
    for one in made:
        if one.language == "python":
            ast.parse(f"async def script():\n{_indented(one.code)}")


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())
