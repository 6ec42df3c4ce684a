"""Explanations: the decision that a real call would get, and everything behind it."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.clock import now
from core.errors import NotFound
from core.models import Revision, raise_revision
from gateway.models import Run, ToolCall
from gateway.sandbox.api import Call
from gateway.services import explain
from gateway.services.deciding import NEEDS_GVISOR, NO_SUCH_TOOL, decision_on
from gateway.services.explain import Question
from gateway.services.holder import Step
from gateway.services.invoke import invoke
from policy.access import access_of
from policy.models import SandboxPolicy, Team
from policy.principal import Principal
from policy.services.rules import live_rules
from tests.builders.identity import Cast, make_cast, make_key
from tests.builders.policy import make_rules, make_version
from tests.builders.quotas import make_quota
from tests.integration.gateway.conftest import Hold
from tests.unit.policy.test_decision_properties import RULE_SETS

pytestmark = pytest.mark.django_db
BIG = {
    "id": "big",
    "effect": "require_approval",
    "select": {"tools": ["trivial.add"]},
    "when": "args.a > 500",
    "approve": {"role": "finance"},
}
REST: list[dict[str, Any]] = [
    {"id": "off", "effect": "deny", "enabled": False},
    {"id": "support", "effect": "deny", "select": {"teams": ["support"]}},
    {"id": "watch", "effect": "deny", "mode": "monitor"},
    {"id": "zero", "effect": "deny", "when": "args.a == 0"},
]


def ask(principal: Principal, tool: str, **arguments: Any) -> explain.Explanation:
    return explain.explain(Question(principal, tool, arguments, now()))


def test_everything_that_has_a_say_is_named(agent: Principal) -> None:
    make_version(BIG, *REST)
    make_quota(9, window="day", team=Team.objects.get(pk=agent.team_id))
    found = ask(agent, "trivial.add", a=600, b=1)
    assert found.effect == "require_approval"
    assert [(one.rule.id, one.won, one.selected, one.says) for one in found.rules] == [
        ("big", True, True, "require_approval"),
        ("watch", False, True, "deny"),
        ("zero", False, True, ""),
        ("off", False, False, ""),
        ("support", False, False, ""),
    ]
    why = {one.rule.id: one.why for one in found.rules}
    assert why["zero"] == "its condition is false"
    assert why["off"] == "it is switched off"
    assert why["support"] == "select.teams: sales is not among support"
    assert found.granted_through == ("server trivial, in every environment",)
    assert (found.scope, found.environments) == ("tools:*", ("dev",))
    assert [(str(one.to), one.rule) for one in found.routes] == [
        ("role finance", "big")
    ]
    assert [(one.limit, int(one.used)) for one in found.quotas] == [(9, 0)]
    assert found.policy_version == 1
    assert found.problems == ()
    assert "a" in ask(agent, "trivial.add", a="x", b=1).problems[0]


def test_what_denies_is_named(agent: Principal) -> None:
    make_version(BIG, *REST)
    denied = ask(agent, "trivial.add", a=0, b=1)
    assert (denied.effect, denied.decision.denied_by) == ("deny", "zero")
    assert ask(agent, "trivial.nothing").decision.reasons == (NO_SUCH_TOOL,)
    elsewhere = ask(replace(agent, environment="prod"), "trivial.add", a=1, b=1)
    assert not elsewhere.enabled
    assert elsewhere.effect == "deny"
    scoped = ask(replace(agent, scopes=("tools:crm.*",)), "trivial.add", a=1, b=1)
    assert (scoped.scope, scoped.effect) == ("", "deny")


def test_a_draft_is_explained_in_place_of_the_live_rules(agent: Principal) -> None:
    rules = make_rules({"id": "draft", "effect": "deny"})
    question = Question(agent, "trivial.add", {"a": 1, "b": 1}, now(), rules=rules)
    assert explain.explain(question).decision.denied_by == "draft"
    assert live_rules().rules == ()


def test_a_recorded_call_is_explained_and_what_was_redacted_is_said(
    agent: Principal, hold: Hold
) -> None:
    cast = make_cast()
    make_version(
        {"id": "hide", "effect": "redact", "redact": {"arguments": ["text"]}},
        {"id": "no", "effect": "deny", "when": 'args.text == "x"'},
    )
    holder = hold(agent)
    assert invoke(holder, Call(1, "trivial.echo", {"text": "y"})).error is None
    run = Run.objects.get(pk=holder.run_id)
    call = explain.recorded_call(_rights(cast), run=run.uid, step=1)
    question = explain.question_of(call)
    found = explain.explain(question)
    assert found.uncertain == ("no",)
    with pytest.raises(NotFound):
        explain.recorded_call(_rights(cast, "outsider"), run=run.uid, step=1)
    with pytest.raises(NotFound):
        explain.recorded_call(_rights(cast), run=run.uid, step=7)


def test_the_sandbox_policy_has_a_say(agent: Principal) -> None:
    team = Team.objects.get(pk=agent.team_id)
    SandboxPolicy.objects.create(
        team=team,
        languages=["python"],
        allowed_models=["qwen*"],
        require_model=True,
        changed_at=now(),
    )
    SandboxPolicy.objects.create(
        tool="trivial.add", require_gvisor=True, changed_at=now()
    )
    raise_revision(Revision.POLICY)
    asked = Question(agent, "trivial.add", {"a": 1, "b": 1}, now(), model="qwen3")

    def refused(**changes: Any) -> str:
        found = explain.explain(replace(asked, **changes))
        assert (found.effect == "deny") == bool(found.refused)
        assert found.needs_gvisor
        return found.refused

    assert refused() == ""
    assert "TypeScript are not allowed" in refused(language="typescript")
    assert "'gpt' is not allowed" in refused(model="gpt")
    assert "has to be named" in refused(model="")
    assert refused(gvisor=False) == NEEDS_GVISOR
    assert {one.what for one in explain.explain(asked).sandbox} == {
        "Languages",
        "Models",
        "Naming the model",
    }
    team.sandbox_policy.require_gvisor = True
    team.sandbox_policy.save()
    raise_revision(Revision.POLICY)
    assert "requires gVisor for this run" in refused(gvisor=False)


def _rights(cast: Cast, who: str = "admin") -> Any:
    return access_of(getattr(cast, who))


def test_nobody_explains_keys_and_teams_they_may_not_see(agent: Principal) -> None:
    cast = make_cast()
    key = make_key().key
    assert explain.key_holder(_rights(cast, "member"), key.prefix).key == key.prefix
    for rights in (_rights(cast, "outsider"),):
        with pytest.raises(NotFound):
            explain.key_holder(rights, key.prefix)
        with pytest.raises(NotFound):
            explain.anybody(rights, team="sales", environment="dev")
    with pytest.raises(NotFound, match="no environment"):
        explain.anybody(_rights(cast), team="sales", environment="nowhere")


ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "n": st.sampled_from([0, 4, 9, 5.5, "7", None]),
        "to": st.sampled_from(["a@b.example", "c@evil.example", ""]),
        "l": st.lists(st.none(), max_size=4),
    },
)


def test_it_is_the_decision_of_a_real_call_for_any_rules(
    agent: Principal, hold: Hold
) -> None:
    holder = hold(agent)

    @settings(
        max_examples=60,
        suppress_health_check=[HealthCheck.nested_given, HealthCheck.too_slow],
        deadline=None,
    )
    @given(
        RULE_SETS,
        ARGUMENTS,
        st.sampled_from(["trivial.add", "trivial.echo", "trivial.none"]),
        st.sampled_from(["dev", "prod"]),
        st.sampled_from([("tools:*",), ("tools:trivial.add",)]),
    )
    def same(
        documents: list[dict[str, Any]],
        arguments: dict[str, Any],
        tool: str,
        environment: str,
        scopes: tuple[str, ...],
    ) -> None:
        rules = make_rules(*documents)
        principal = replace(agent, environment=environment, scopes=scopes)
        at = now()
        found = explain.explain(Question(principal, tool, arguments, at, rules=rules))
        known = holder.usable.catalog.tools.get(tool)
        real = replace(
            holder,
            principal=principal,
            usable=replace(holder.usable, rules=rules),
            tally=type(holder.tally)(),
        )
        step = Step(Call(1, tool, dict(found.arguments or arguments)), "", known, at)
        decision = decision_on(real, step)
        assert decision == found.decision
        assert decision.verdicts == found.decision.verdicts

    same()


def test_the_api_explains(client: Any, agent: Principal) -> None:
    cast = make_cast()
    make_version(BIG, *REST)
    client.force_login(cast.member)

    def post(body: dict[str, Any]) -> Any:
        return client.post(
            "/api/v1/policy/explain/", json.dumps(body), "application/json"
        )

    who = {"team": "sales", "environment": "dev"}
    body = {"tool": "trivial.add", "arguments": {"a": 600, "b": 1}, **who}
    found = post(body).json()
    assert found["effect"] == "require_approval"
    assert found["approvals"][0]["role"] == "finance"
    assert found["rules"][0]["rule"] == "big"
    deny = {"rules": [{"id": "x", "effect": "deny", "message": "no"}]}
    assert post(body | deny).json()["told"] == "no"
    by_key = post({"tool": "trivial.add", "key": agent.key}).json()
    assert by_key["scope"] == "tools:*"
    assert post({"tool": "trivial.add"}).status_code == 422
    assert post({**body, "team": "support"}).status_code == 404
    assert post(who).status_code == 422
    assert ToolCall.objects.count() == 0
