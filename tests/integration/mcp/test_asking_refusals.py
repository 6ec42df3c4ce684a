"""What answers no question of this person is refused on record, and decides nothing."""

import time
from typing import Any

import mcp_types as types
import pytest
from django.core import signing

from audit.models import Event
from core.clock import now
from core.errors import Denied
from gateway.mcp_server import asking
from gateway.models import Run
from policy.models import Approval, Membership, PersonalKey
from policy.services.personal_keys import authenticate
from tests.builders.identity import make_personal_key, make_team, make_user
from tests.integration.mcp.forms import (
    filled,
    look,
    question,
    refusals,
    reply,
    state_of,
)
from tests.integration.mcp.wire import CALL, send
from tests.integration.mcp.world import People, World
from tests.stack import ERAS


def test_an_answer_counts_once(world: World, people: People, asked: Approval) -> None:
    state = question(world, people.approver, asked.run)["requestState"]
    reply(world, people.approver, asked, state, filled("reject"))

    again = reply(world, people.approver, asked, state)

    assert again["error"]["code"] == "approval_closed"
    assert state_of(world, asked) == "rejected"
    with world.stack.database():
        event = Event.objects.get(name="approval.refused", run=asked.run)
        assert (event.decision, event.actor_id) == ("deny", "user:bob")


@pytest.mark.parametrize("whose", ["second", "outsider", "member", "agent"])
def test_the_state_of_somebody_else_is_refused_on_record(
    world: World, people: People, asked: Approval, whose: str
) -> None:
    state = question(world, people.approver, asked.run)["requestState"]
    key = world.sales if whose == "agent" else getattr(people, whose)
    before = refusals(world)

    error = reply(world, key, asked, state)["error"]

    assert error["code"] == ("not_found" if whose == "outsider" else "denied")
    assert state_of(world, asked) == "pending"
    assert refusals(world) == before + (whose != "outsider")


def test_a_state_that_was_tampered_with_is_refused_on_record(
    world: World, people: People, asked: Approval
) -> None:
    state = question(world, people.approver, asked.run)["requestState"]
    body, _, signature = state.partition(":")
    forged = signing.dumps(
        ["user:bob", people.approver[:12], asked.run, [asked.uid]],
        key="another",
        salt="gateway.mcp_server.asking",
    )
    older = signing.dumps(["user:bob"], salt="another")
    before = refusals(world)

    for bad in (f"{body}x:{signature}", forged, older, "", "x" * 100_000, "ü:ü:ü"):
        error = reply(world, people.approver, asked, bad)["error"]
        assert error["code"] == "denied", bad[:80]

    assert refusals(world) == before + 6
    assert state_of(world, asked) == "pending"


def test_an_answer_without_a_state_or_about_another_call_is_refused(
    world: World, people: People, asked: Approval
) -> None:
    state = question(world, people.approver, asked.run)["requestState"]
    with world.stack.database():
        other = Approval.objects.exclude(pk=asked.pk).latest("pk").uid
    before = refusals(world)

    for more in (
        {"inputResponses": {asked.uid: filled("approve")}},
        {"inputResponses": {other: filled("approve")}, "requestState": state},
    ):
        answer = look(world, people.approver, asked.run, **more).json()["result"]
        assert answer["structuredContent"]["error"]["code"] == "denied"

    assert refusals(world) == before + 2
    assert state_of(world, asked) == "pending"


def test_a_state_is_good_for_ten_minutes(
    world: World, people: People, asked: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = time.time() - 601
    with world.stack.database():
        run = Run.objects.get(uid=asked.run)
        person = authenticate(
            text=people.approver, at=now(), address="", request_id="req_1"
        )
        with monkeypatch.context() as past:
            past.setattr(time, "time", lambda: then)
            old = asking.ask(person, run.uid)
        assert old is not None
        params = types.CallToolRequestParams.model_validate(
            {
                "name": "get_run",
                "requestState": old.request_state,
                "inputResponses": {asked.uid: filled("approve")},
            }
        )
        with pytest.raises(Denied, match="within the last ten minutes"):
            asking.answer(person, run, params)
    assert state_of(world, asked) == "pending"


def test_a_role_taken_away_meanwhile_refuses_the_answer(
    world: World, people: People, asked: Approval
) -> None:
    state = question(world, people.second, asked.run)["requestState"]
    before = refusals(world)
    with world.stack.database():
        held_roles = Membership.objects.filter(user__username="ann")
        held_roles.update(role=Membership.Role.MEMBER)

    error = reply(world, people.second, asked, state)["error"]

    with world.stack.database():
        held_roles.update(role=Membership.Role.APPROVER)
    assert error["code"] == "denied"
    assert refusals(world) == before + 1
    assert state_of(world, asked) == "pending"


def test_who_asked_is_not_asked(world: World, people: People, asked: Approval) -> None:
    state = question(world, people.approver, asked.run)["requestState"]
    with world.stack.database():
        Approval.objects.filter(pk=asked.pk).update(
            requesters=["sa:sales/agent", "user:bob"]
        )

    now_own = question(world, people.approver, asked.run)
    error = reply(world, people.approver, asked, state)["error"]

    assert now_own["resultType"] == "complete"
    assert error["code"] == "denied"
    assert "Nobody approves their own" in error["message"]
    assert state_of(world, asked) == "pending"
    with world.stack.database():
        assert Event.objects.filter(
            name="approval.refused", run=asked.run, decision="deny"
        ).exists()


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"decision": "approve"},
        {"decision": "approve", "reason": "  "},
        {"decision": "yes", "reason": "r"},
        {"decision": True, "reason": "r"},
    ],
)
def test_a_form_that_is_not_filled_in_decides_nothing(
    world: World, people: People, asked: Approval, content: dict[str, Any]
) -> None:
    state = question(world, people.approver, asked.run)["requestState"]
    given = {"action": "accept", "content": content}

    error = reply(world, people.approver, asked, state, given)["error"]

    assert error["code"] == "invalid"
    assert state_of(world, asked) == "pending"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("execute", {"code": "return 1"}),
        ("search", {"query": "add"}),
        ("trivial.add", {"a": 1, "b": 2}),
        ("get_run", {"cancel": True}),
    ],
)
def test_a_personal_key_runs_nothing(
    world: World,
    people: People,
    asked: Approval,
    era: str,
    name: str,
    arguments: dict[str, Any],
) -> None:
    if name == "get_run":
        arguments = arguments | {"run": asked.run}
    with world.stack.database():
        before = Run.objects.count()
        refused = Event.objects.filter(name="scope.refused", actor_id="user:bob")
        denials = refused.count()
    params = {"name": name, "arguments": arguments}

    answer = send(world.stack.mcp_url, people.approver, era, CALL, params)

    assert answer.status_code == 403 or answer.json()["result"]["isError"]
    with world.stack.database():
        assert Run.objects.count() == before
        assert refused.count() == denials + 1
        assert Run.objects.get(uid=asked.run).cancel_requested_at is None


def test_the_runs_of_other_teams_are_not_found_on_record(
    world: World, people: People, asked: Approval
) -> None:
    error = question(world, people.outsider, asked.run)["structuredContent"]["error"]

    assert error["code"] == "not_found"
    with world.stack.database():
        event = Event.objects.filter(name="run.hidden").latest("pk")
        assert (event.actor_id, event.target_id) == ("user:mallory", asked.run)


def test_a_key_revoked_between_question_and_answer_is_refused(
    world: World, people: People, asked: Approval
) -> None:
    with world.stack.database():
        roles = (make_team("sales"), Membership.Role.APPROVER)
        made = make_personal_key(make_user("eve", roles))
    state = question(world, made.text, asked.run)["requestState"]
    with world.stack.database():
        PersonalKey.objects.filter(pk=made.key.pk).update(revoked_at=now())

    answer = look(
        world,
        made.text,
        asked.run,
        requestState=state,
        inputResponses={asked.uid: filled("approve")},
    )

    assert answer.status_code == 401
    assert state_of(world, asked) == "pending"


@pytest.mark.parametrize(
    "more",
    [
        {"inputResponses": [1]},
        {"inputResponses": {"apr_x": 5}},
        {"inputResponses": {"apr_x": {"action": "approve"}}},
        {"requestState": 5},
        {"requestState": {"run": "run_x"}},
    ],
)
def test_an_answer_of_another_shape_is_refused(
    world: World, people: People, asked: Approval, more: dict[str, Any]
) -> None:
    answer = look(world, people.approver, asked.run, **more)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == -32602
    assert state_of(world, asked) == "pending"
