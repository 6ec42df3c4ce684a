"""What may run at all: the strictest of environment, team and key holds."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy import admission
from policy.admission import Ways, in_its_way, model_allowed, refusal, tool_refusal
from policy.decision import DENY, Decision
from policy.sandbox import DIRECT, LANGUAGES, MODES, SCRIPT, Rule, merge

PROD = Rule(languages=("python",), of="environment prod")
TEAM = Rule(models=("gpt-5*", "qwen3-*"), require_model=True, of="team sales")
KEY = Rule(modes=("direct",), of="key agent (tg_x…)")
COVERED = Decision("allow", ("grant",))


def said(rules: list[Rule], **asked: str) -> tuple[str, str]:
    found = refusal(rules, **{"mode": SCRIPT, **asked})
    return (found.code, found.message) if found else ("", "")


def test_where_nobody_asks_for_anything_everything_is_allowed() -> None:
    for mode, language in itertools.product(MODES, LANGUAGES):
        assert refusal([], mode=mode, language=language, model="any") is None
        assert refusal([Rule(), Rule(level="team")], mode=mode, model="") is None


def test_a_language_that_is_not_allowed_is_refused_with_the_one_that_is() -> None:
    code, message = said([Rule(), PROD], language="typescript")
    assert code == "language_not_allowed"
    assert "Scripts in TypeScript are not allowed here (by environment prod)" in message
    assert "write it in Python" in message
    assert said([PROD], language="python") == ("", "")


def test_where_two_leave_no_language_nothing_is_advised_in_vain() -> None:
    other = Rule(languages=("typescript",), of="team sales")
    found = refusal([PROD, other], mode=SCRIPT, language="python")
    assert found is not None
    assert "no language is left" in found.message
    assert found.details == {
        "language": "python",
        "set_by": ["team sales"],
        "allowed": [],
    }


def test_a_way_that_is_not_allowed_is_refused_with_the_other() -> None:
    code, message = said([KEY])
    assert code == "mode_not_allowed"
    assert "(by key agent (tg_x…))" in message
    assert "call the tools directly" in message
    code, message = said([Rule(modes=("script",), of="x")], mode=DIRECT)
    assert code == "mode_not_allowed"
    assert "from a script with execute" in message
    assert said([Rule(modes=("direct", "script"))]) == ("", "")


@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("gpt-5-mini", ""),
        ("GPT-5", ""),
        ("qwen3-coder-30b", ""),
        ("gpt-4o", "model_not_allowed"),
        ("openai/gpt-5", "model_not_allowed"),
        ("qwen3", "model_not_allowed"),
        ("", "model_required"),
        ("  ", "model_required"),
    ],
)
def test_models_are_matched_by_name_and_glob(model: str, code: str) -> None:
    assert said([TEAM], model=model)[0] == code


def test_a_model_has_to_fit_every_list_and_the_answer_names_the_list() -> None:
    rules = [TEAM, Rule(models=("gpt-*",), of="environment prod")]
    assert said(rules, model="gpt-5") == ("", "")
    code, message = said(rules, model="qwen3-8b")
    assert code == "model_not_allowed"
    assert "environment prod allows gpt-*" in message


def test_only_the_star_is_a_wildcard() -> None:
    assert not model_allowed("gpt-5", ["gpt-?x"])
    assert model_allowed("a/b:latest", ["a/*:latest"])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ways", [Ways(script=False), Ways(direct=False), Ways()])
def test_a_tool_is_called_in_its_own_way_only(mode: str, ways: Ways) -> None:
    allowed = ways.script if mode == SCRIPT else ways.direct
    found = in_its_way(COVERED, [], ways, tool="crm.x", mode=mode)
    assert (found == COVERED) == allowed
    if not allowed:
        told = tool_refusal(ways, tool="crm.x", mode=mode)
        assert (found.effect, found.told) == (DENY, told)
        assert found.reasons == ("grant", f"way: {told}")


def test_who_has_no_grant_is_not_told_how_a_tool_is_called() -> None:
    denied = Decision(DENY, ("grant: none",))
    found = in_its_way(denied, [KEY], Ways(script=False), tool="crm.x", mode=SCRIPT)
    assert found == denied


def test_a_way_forbidden_since_the_submission_holds_for_the_next_call() -> None:
    found = in_its_way(COVERED, [KEY], Ways(), tool="crm.x", mode=SCRIPT)
    assert found.denied
    assert "by key agent" in found.told


RULES = st.builds(
    Rule,
    languages=st.lists(st.sampled_from(list(LANGUAGES)), unique=True).map(tuple),
    modes=st.lists(st.sampled_from(list(MODES)), unique=True).map(tuple),
    models=st.lists(st.sampled_from(["gpt-5*", "gpt-*", "qwen3-*", "x"])).map(tuple),
    require_model=st.booleans(),
    limits=st.dictionaries(st.sampled_from(["calls", "cpu_seconds"]), st.floats(1, 9)),
    of=st.sampled_from(["environment prod", "team sales"]),
)
ASKED = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(list(MODES)),
        "language": st.sampled_from(["", *LANGUAGES]),
        "model": st.sampled_from(["", "gpt-5-mini", "gpt-4", "qwen3-8b", "x"]),
    }
)


@given(st.lists(RULES, max_size=4), RULES, ASKED, st.randoms())
def test_another_layer_never_allows_more(
    rules: list[Rule], added: Rule, asked: dict[str, str], order: random.Random
) -> None:
    more = [*rules, added]
    order.shuffle(more)
    if refusal(rules, **asked) is not None:
        assert refusal(more, **asked) is not None
    if refusal(more, **asked) is None:
        assert all(refusal([rule], **asked) is None for rule in more)
    before, after = merge(rules), merge(more)
    for name, value in before.limits.items():
        assert after.limits[name] <= value


def test_every_refusal_is_a_denial_with_a_code_of_its_own() -> None:
    kinds = {
        admission.ModeRefused,
        admission.LanguageRefused,
        admission.ModelRefused,
        admission.ModelMissing,
    }
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert {kind.status for kind in kinds} == {403}
