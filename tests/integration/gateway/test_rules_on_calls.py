"""Rules on real calls: denied, asked for, hidden, withheld, counted, and on record."""

import json
import time
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from core.clock import now
from gateway.connectors.pool import UpstreamPool
from gateway.models import Run, Server, Tool, ToolCall
from gateway.sandbox.api import Call, Reply, Usage
from gateway.services import access, catalog, gate, holds, runs
from gateway.services.execute import execute
from gateway.services.holder import Holder
from gateway.services.invoke import invoke
from gateway.services.leases import Leases
from gateway.services.tally import Tally
from policy.holders import TEAM
from policy.holders import Holder as Held
from policy.models import Approval
from policy.principal import Principal
from tests.builders.identity import ACTOR, Cast, actor_of
from tests.builders.policy import make_version
from tests.integration.gateway.conftest import Hold, held_again
from tests.integration.gateway.test_invoke import watch

pytestmark = pytest.mark.django_db

MAIL = "jane@example.org"


def echo(holder: Holder, text: str, step: int = 1) -> Reply:
    return invoke(holder, Call(step, "trivial.echo", {"text": text}))


def row(holder: Holder, step: int = 1) -> ToolCall:
    return ToolCall.objects.get(run_id=holder.run_id, step=step)


def trail(holder: Holder) -> dict[str, dict[str, Any]]:
    events = Event.objects.filter(run=holder.run, step__isnull=False).order_by("pk")
    return {event.name: json.loads(event.body) for event in events}


def everything(holder: Holder) -> str:
    """All that is kept of a run's calls, but for the script itself."""
    rows = ToolCall.objects.filter(run_id=holder.run_id).values()
    bodies = Event.objects.filter(run=holder.run).values_list("body", flat=True)
    asked = Approval.objects.filter(run=holder.run).values()
    return str([*rows, *bodies, *asked])


def test_a_denied_call_is_not_made_and_tells_rule_and_message(
    agent: Principal, hold: Hold
) -> None:
    make_version(
        {
            "id": "no-secrets",
            "effect": "deny",
            "select": {"tools": ["trivial.*"]},
            "when": 'args.text.contains("secret")',
            "message": "Keep it to yourself.",
        }
    )
    holder, watched = watch(hold(agent))
    assert echo(holder, "hello").value == "hello"
    error = echo(holder, "a secret", 2).error
    assert error is not None
    assert error.code == "denied"
    assert error.message == (
        "trivial.echo was denied by rule no-secrets: Keep it to yourself."
    )
    assert watched.sent == 1
    assert row(holder, 1).policy_version == row(holder, 2).policy_version == 1
    assert row(holder, 1).rules is None
    assert row(holder, 2).rules == {"applied": ["no-secrets"], "would": []}
    refused = trail(holder)["call.refused"]
    assert (refused["decision"], refused["step"]) == ("deny", 2)
    assert refused["payload"]["policy_version"] == 1
    assert refused["reasons"][-1].startswith("rule no-secrets: deny")


def test_an_error_in_a_condition_denies_and_says_so(
    agent: Principal, hold: Hold
) -> None:
    make_version({"id": "r", "effect": "redact", "when": "args.n > 1",
                  "redact": {"results": ["x"]}})  # fmt: skip
    holder, watched = watch(hold(agent))
    error = echo(holder, "x").error
    assert error is not None
    assert "rule r: it could not be evaluated" in error.message
    assert watched.sent == 0
    assert "error: there is no 'n'" in row(holder).reasons[-1]


def test_a_rule_routes_an_approval_and_the_run_goes_on(
    cast: Cast, agent: Principal, hold: Hold
) -> None:
    make_version(
        {"id": "hide", "effect": "redact", "redact": {"arguments": ["text"]}},
        {
            "id": "ask",
            "effect": "require_approval",
            "when": "size(args.text) > 3",
            "approve": {"role": "finance"},
            "message": "Long texts are dear.",
        },
    )
    holder, watched = watch(hold(agent))
    assert echo(holder, "abc").value == "abc"
    with pytest.raises(gate.Suspended):
        echo(holder, "abcdef", 2)
    approval = Approval.objects.get()
    assert approval.arguments == {"text": "[redacted by policy]"}
    route = approval.routes.get()
    assert (route.name, route.rule, route.rule_version, route.because) == (
        "finance",
        "ask",
        "1",
        "Long texts are dear.",
    )
    run = Run.objects.get(pk=holder.run_id)
    assert holds.suspend(run, gate.AWAITING_APPROVAL, usage=Usage(), at=now())
    holds.decide_approval(
        uid=approval.uid,
        approve=True,
        reason="fine",
        actor=actor_of(cast.finance),
        at=now(),
    )
    again = held_again(holder)
    assert echo(again, "abc").value == "abc"
    assert echo(again, "abcdef", 2).value == "abcdef"
    assert watched.sent == 2
    intended = [one for one in row(holder, 2).reasons if "ask" in one]
    assert intended == ["rule ask: require_approval: it applies to the call"]
    assert "abcdef" not in everything(holder).replace("'result': 'abcdef'", "")


def test_what_is_hidden_is_on_no_record(agent: Principal, hold: Hold) -> None:
    make_version(
        {"id": "a", "effect": "redact", "redact": {"arguments": ["text"]}},
        {"id": "b", "effect": "redact", "check": {"kind": "pii", "in": "both"}},
    )
    holder = hold(agent)
    assert echo(holder, MAIL).value == "[redacted: email]"
    assert row(holder).arguments == {"text": "[redacted by policy]"}
    assert row(holder).result == "[redacted: email]"
    assert row(holder).rules == {"applied": ["a", "b"], "would": []}
    ended = trail(holder)["call.ended"]
    assert ended["payload"]["rules"] == [
        "rule b: redact of the result: email at the value itself"
    ]
    invoke(holder, Call(2, "trivial.echo", {"text": "x", "more": MAIL}))
    invoke(holder, Call(3, "trivial.add", {"a": MAIL, "b": 1}))
    assert row(holder, 3).outcome == "invalid"
    assert "jane" not in everything(holder)


def test_a_tools_error_is_a_result_too(agent: Principal, hold: Hold) -> None:
    make_version(
        {
            "id": "r",
            "effect": "redact",
            "check": {"kind": "pii", "in": "results", "find": ["email"]},
        },
        {
            "id": "hide",
            "effect": "redact",
            "select": {"tools": ["trivial.divide"]},
            "redact": {"arguments": ["a"]},
        },
    )
    holder = hold(agent)
    reply = invoke(holder, Call(1, "trivial.divide", {"a": 1, "b": 0}))
    assert reply.error is not None
    assert reply.error.code == "tool_error"
    assert row(holder).outcome == "tool_error"


@pytest.mark.parametrize(
    "rule",
    [
        {"effect": "deny", "check": {"kind": "pii", "in": "results"}},
        {"effect": "limit", "limit": {"result_bytes": 5}},
    ],
)
def test_a_result_is_withheld_though_the_call_happened(
    agent: Principal, hold: Hold, rule: dict[str, Any]
) -> None:
    make_version({"id": "r", **rule})
    holder, watched = watch(hold(agent))
    reply = echo(holder, MAIL)
    assert watched.sent == 1
    assert reply.value is None
    assert reply.error is not None
    assert (reply.error.code, reply.error.retryable) == ("withheld", False)
    assert "was called, and rule r withholds its result" in reply.error.message
    kept = row(holder)
    assert (kept.outcome, kept.decision, kept.result) == ("withheld", "allow", None)
    assert kept.rules == {"applied": ["r"], "would": []}
    assert trail(holder)["call.ended"]["payload"]["outcome"] == "withheld"
    again = held_again(holder)
    assert echo(again, MAIL).error == reply.error
    assert watched.sent == 1


def test_calls_of_a_run_are_counted_over_its_claims(
    agent: Principal, hold: Hold
) -> None:
    make_version(
        {
            "id": "r",
            "effect": "limit",
            "select": {"tools": ["trivial.echo"]},
            "limit": {"calls_per_run": 2},
        }
    )
    holder = hold(agent)
    assert echo(holder, "a", 1).error is None
    assert invoke(holder, Call(2, "trivial.negate", {"a": 1})).error is None
    assert echo(holder, "b", 3).error is None
    error = echo(holder, "c", 4).error
    assert error is not None
    assert "2 such calls in this run; 2 is most" in error.message
    again = held_again(holder)
    journal = ToolCall.objects.filter(run_id=holder.run_id)
    tally = Tally.of(journal, again.usable.catalog.tools)
    assert sorted(tally.but(9).values()) == [1, 2]
    for step, text in ((1, "a"), (3, "b")):
        assert echo(again, text, step).error is None
    assert echo(again, "d", 5).error is not None


def test_a_watching_rule_changes_nothing_and_is_counted(
    agent: Principal, hold: Hold
) -> None:
    make_version(
        {"id": "m", "effect": "deny", "mode": "monitor", "select": {"teams": ["sales"]}}
    )
    holder = hold(agent)
    assert echo(holder, "x").value == "x"
    assert row(holder).rules == {
        "applied": [],
        "would": [{"rule": "m", "effect": "deny"}],
    }
    intended = trail(holder)["call.intended"]
    assert intended["decision"] == "allow"
    assert intended["payload"]["would"] == [
        {"rule": "m", "effect": "deny", "why": "it applies to the call"}
    ]


def test_a_rule_holds_for_a_run_that_is_under_way(agent: Principal, hold: Hold) -> None:
    holder = hold(agent)
    assert echo(holder, "x").error is None
    make_version({"id": "stop", "effect": "deny"})
    deadline = time.monotonic() + 2
    step = 2
    while echo(holder, "x", step).error is None:
        step += 1
        assert time.monotonic() < deadline, "the rule holds after two seconds at most"
        time.sleep(0.05)
    assert row(holder, step).policy_version == 1


def test_a_grant_taken_back_holds_for_a_run_that_is_under_way(
    agent: Principal, hold: Hold, trivial: Server
) -> None:
    holder = hold(agent)
    assert echo(holder, "x").error is None
    access.take(
        subjects=[trivial],
        holders=[Held(TEAM, agent.team)],
        reason="over",
        actor=ACTOR,
        at=now(),
    )
    time.sleep(1.1)
    error = echo(holder, "x", 2).error
    assert error is not None
    assert "not available to this key" in error.message


def test_rules_ask_the_database_nothing(agent: Principal, hold: Hold) -> None:
    make_version(
        *(
            {"id": f"r{number}", "effect": "deny", "when": f"args.a > {number}"}
            for number in range(10, 40)
        ),
        {"id": "pii", "effect": "redact", "check": {"kind": "pii", "in": "both"}},
    )
    holder = hold(agent)
    assert invoke(holder, Call(1, "trivial.negate", {"a": 1})).error is None
    with CaptureQueriesContext(connection) as queries:
        assert invoke(holder, Call(2, "trivial.negate", {"a": 2})).error is None
    assert len(queries) == 2, [query["sql"] for query in queries]


def test_a_rule_knows_a_direct_call(
    agent: Principal, hold: Hold, upstream: UpstreamPool
) -> None:
    make_version(
        {"id": "scripts-only", "effect": "deny", "when": 'run.mode == "direct"'},
        {"id": "hide", "effect": "redact", "redact": {"arguments": ["text"]}},
    )
    assert echo(hold(agent), "x").error is None
    direct = runs.submit_direct(
        principal=agent, tool="trivial.echo", arguments={"text": MAIL}, at=now()
    )
    execute(
        uid=direct.uid,
        runner="test",
        leases=Leases(),
        sandboxes=pytest.fail,
        upstream=upstream,
    )
    direct.refresh_from_db()
    assert direct.error is not None
    assert "denied by rule scripts-only" in direct.error["message"]
    assert direct.direct_arguments == {"text": "[redacted by policy]"}


def test_a_direct_calls_arguments_are_shown_as_recorded_before_it_ends(
    cast: Cast, agent: Principal, upstream: UpstreamPool
) -> None:
    make_version(
        {"id": "ask", "effect": "require_approval"},
        {"id": "hide", "effect": "redact", "redact": {"arguments": ["text"]}},
    )
    tool = Tool.objects.get(name="echo")
    catalog.set_direct(tool_id=tool.pk, direct=True, actor=ACTOR, at=now())
    direct = runs.submit_direct(
        principal=agent, tool="trivial.echo", arguments={"text": MAIL}, at=now()
    )
    client = Client()
    client.force_login(cast.admin)
    page = client.get(f"/runs/{direct.uid}/").content.decode()
    assert MAIL not in page
    assert "once it was decided on" in page
    execute(
        uid=direct.uid,
        runner="test",
        leases=Leases(),
        sandboxes=pytest.fail,
        upstream=upstream,
    )
    direct.refresh_from_db()
    assert direct.status == Run.Status.AWAITING_APPROVAL
    page = client.get(f"/runs/{direct.uid}/").content.decode()
    assert MAIL not in page
    assert "[redacted by policy]" in page
