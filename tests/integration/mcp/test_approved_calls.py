"""Approvals of a script's calls, from the gate to the end of the run.

A rule holds real scripts, people decide over REST, and a runner goes on. What was not
agreed to is not called, and each refusal is on record.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from threading import Barrier
from typing import Any

import httpx2
import pytest

from audit.models import Event
from core.clock import now
from gateway.models import Run, ToolCall
from policy.models import ApiKey, Approval, Membership, User
from tests.builders.identity import make_team, make_user
from tests.integration.mcp.rest import publish, signed_in
from tests.integration.mcp.tasks import held
from tests.integration.mcp.world import People, World

CLICKS = 32
ASK: dict[str, Any] = {
    "id": "ask",
    "effect": "require_approval",
    "select": {"tools": ["trivial.multiply"]},
    "approve": {"role": "approver"},
    "message": "Products are dear.",
}
ONCE = """from tools import trivial, ToolError

try:
    return trivial.multiply(a=6, b=7)
except ToolError as error:
    return [error.code, error.message]
"""
TWICE = """from tools import trivial, ToolError

first = trivial.multiply(a=6, b=7)
try:
    return [first, trivial.multiply(a=6, b=7)]
except ToolError as error:
    return [first, error.code]
"""
# The clock of the file system is not pinned to the run: each claim reads another time.
CHANGING = """import os
from tools import trivial, ToolError

with open("/tmp/now", "w") as file:
    file.write("now")
try:
    return trivial.multiply(a=os.stat("/tmp/now").st_mtime_ns // 1000 % 10**9, b=7)
except ToolError as error:
    return [error.code, error.message]
"""


@pytest.fixture(scope="module")
def admin(world: World) -> Iterator[httpx2.Client]:
    """An administrator's session, while calls of ``multiply`` need an approval."""
    with world.stack.database():
        nora = make_user("nora", (make_team("support"), Membership.Role.ADMIN))
    with signed_in(world.stack, nora) as client:
        publish(client, ASK)
        yield client
        client.post("policy/versions/0/revert/", json={"reason": "the test is over"})


@pytest.fixture
def bob(world: World, people: People, admin: httpx2.Client) -> Iterator[httpx2.Client]:
    """An approver's session, while the rule is live."""
    with signed_in(world.stack, person(world, "bob")) as client:
        yield client


def person(world: World, name: str) -> User:
    with world.stack.database():
        return User.objects.get(username=name)


def waiting(world: World, code: str) -> Approval:
    """What a script asks for, which is held at the gate."""
    return held(world, world.stack.execute(world.sales, code, wait=0)["run"])


def decide(
    client: httpx2.Client, approval: Approval, *, approve: bool = True
) -> httpx2.Response:
    said = {"approve": approve, "reason": "looked at"}
    return client.post(f"approvals/{approval.uid}/decide/", json=said)


def refused(response: httpx2.Response) -> tuple[int, str, str]:
    """Status, code and message of a decision that was not taken."""
    error = response.json()["error"]
    return response.status_code, error["code"], error["message"]


def ended(world: World, approval: Approval) -> Any:
    """The value of the run, once it went on to its end."""
    with world.stack.database():
        over = Run.objects.filter(uid=approval.run, status=Run.Status.SUCCEEDED)
        world.stack.wait_for(over.exists, f"{approval.run} to end", 60)
        return over.get().value


def calls(world: World, approval: Approval) -> list[tuple[str, str]]:
    """Decision and outcome of each call on record."""
    with world.stack.database():
        found = ToolCall.objects.filter(run__uid=approval.run).order_by("step")
        return list(found.values_list("decision", "outcome"))


def trail(world: World, approval: Approval) -> Counter[str]:
    """How often each kind of event is on record for the run."""
    with world.stack.database():
        events = Event.objects.filter(run=approval.run)
        return Counter(events.values_list("name", flat=True))


def state(world: World, approval: Approval) -> str:
    with world.stack.database():
        return Approval.objects.get(pk=approval.pk).state


def test_an_argument_that_changes_after_the_approval_is_refused(
    world: World, bob: httpx2.Client
) -> None:
    approval = waiting(world, CHANGING)
    assert decide(bob, approval).status_code == 200
    code, message = ended(world, approval)
    assert code == "not_approved"
    assert "given for another call" in message
    assert calls(world, approval) == [("deny", "denied")]
    with world.stack.database():
        call = ToolCall.objects.get(run__uid=approval.run)
        event = Event.objects.get(run=approval.run, name="call.refused")
    assert call.arguments != approval.arguments
    assert event.decision == "deny"
    assert state(world, approval) == "approved"
    assert trail(world, approval)["approval.used"] == 0


def test_an_approval_is_good_for_one_call(world: World, bob: httpx2.Client) -> None:
    first = waiting(world, TWICE)
    assert decide(bob, first).status_code == 200
    with world.stack.database():
        further = Approval.objects.filter(run=first.run, step=2)
        world.stack.wait_for(further.exists, "the second call to be held", 30)
        second = further.get()
    assert second.arguments_digest == first.arguments_digest
    assert calls(world, first) == [("allow", "ok")]
    assert refused(decide(bob, first))[:2] == (409, "approval_closed")
    assert decide(bob, second, approve=False).status_code == 200
    assert ended(world, first) == [42, "not_approved"]
    assert calls(world, first) == [("allow", "ok"), ("deny", "denied")]
    assert (state(world, first), state(world, second)) == ("used", "rejected")
    found = trail(world, first)
    assert (found["approval.used"], found["approval.refused"]) == (1, 1)
    assert (found["approval.decided"], found["call.refused"]) == (2, 1)


def test_nothing_is_approved_after_its_time(world: World, bob: httpx2.Client) -> None:
    approval = waiting(world, ONCE)
    with world.stack.database():
        past = now() - timedelta(seconds=1)
        Approval.objects.filter(pk=approval.pk).update(expires_at=past)
    status, said, why = refused(decide(bob, approval))
    assert (status, said, "expired" in why) == (409, "approval_closed", True)
    code, message = ended(world, approval)
    assert (code, "expired" in message) == ("not_approved", True)
    assert calls(world, approval) == [("deny", "denied")]
    assert state(world, approval) == "expired"
    found = trail(world, approval)
    assert (found["approval.refused"], found["approval.expired"]) == (1, 1)
    assert (found["approval.decided"], found["call.refused"]) == (0, 1)


def test_nothing_is_approved_under_a_rule_that_changed(
    world: World, admin: httpx2.Client, bob: httpx2.Client
) -> None:
    approval = waiting(world, ONCE)
    publish(admin, ASK | {"message": "Products are dearer now."})
    status, said, why = refused(decide(bob, approval))
    assert (status, said) == (409, "approval_closed")
    assert "policy has changed" in why
    assert decide(bob, approval, approve=False).status_code == 200
    assert ended(world, approval)[0] == "not_approved"
    assert calls(world, approval) == [("deny", "denied")]
    found = trail(world, approval)
    assert (found["approval.refused"], found["call.refused"]) == (1, 1)
    renewed = waiting(world, ONCE)
    assert decide(bob, renewed).status_code == 200
    assert ended(world, renewed) == 42


def test_nobody_approves_what_they_asked_for(world: World, bob: httpx2.Client) -> None:
    with (
        signed_in(world.stack, person(world, "ann")) as ann,
        world.stack.database(),
    ):
        key = ApiKey.objects.get(prefix=world.sales[:11])
        playground = f"{world.stack.url}/playground/"
        sent = ann.post(
            playground,
            data={"key": key.pk, "code": ONCE},
            headers={"Origin": world.stack.url},
        )
        assert sent.status_code == 302, sent.text
        run = Run.objects.get(submitted_by="user:ann")
        approval = held(world, run.uid)
        status, _, why = refused(decide(ann, approval))
        assert (status, "their own" in why) == (403, True)
    assert state(world, approval) == "pending"
    assert calls(world, approval) == []
    assert decide(bob, approval).status_code == 200
    assert ended(world, approval) == 42
    with world.stack.database():
        event = Event.objects.get(run=approval.run, name="approval.refused")
    assert (event.actor_id, event.decision) == ("user:ann", "deny")


def test_of_32_clicks_at_once_one_decides(world: World, bob: httpx2.Client) -> None:
    approval = waiting(world, ONCE)
    start = Barrier(CLICKS)
    with ExitStack() as open_clients:
        people = [person(world, ("bob", "ann")[n % 2]) for n in range(CLICKS)]
        clients = [
            open_clients.enter_context(signed_in(world.stack, one)) for one in people
        ]

        def click(number: int) -> int:
            start.wait(30)
            return decide(clients[number], approval, approve=number % 4 < 2).status_code

        with ThreadPoolExecutor(CLICKS) as pool:
            said = list(pool.map(click, range(CLICKS)))
    assert Counter(said) == {200: 1, 409: CLICKS - 1}
    approved = said.index(200) % 4 < 2
    value = ended(world, approval)
    assert value == 42 if approved else value[0] == "not_approved"
    assert calls(world, approval) == [
        ("allow", "ok") if approved else ("deny", "denied")
    ]
    assert state(world, approval) == ("used" if approved else "rejected")
    found = trail(world, approval)
    assert (found["approval.decided"], found["run.resumed"]) == (1, 1)
    assert found["approval.refused"] == CLICKS - 1
