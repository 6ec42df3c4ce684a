"""What is wrong with a request for a task is refused, and does no harm."""

from typing import Any

import mcp_types as types
import pytest

from audit.models import Event
from gateway.models import Run
from tests.integration.mcp.tasks import (
    EXTENSION,
    METHODS,
    SLOW,
    ask,
    gated,
    held,
    start,
    until,
)
from tests.integration.mcp.wire import CALL
from tests.integration.mcp.world import World
from tests.stack import ERAS, LEGACY, MODERN


def hidden(world: World) -> int:
    with world.stack.database():
        return Event.objects.filter(name="run.hidden", decision="deny").count()


@pytest.mark.parametrize("method", METHODS[MODERN])
def test_the_extension_has_to_be_declared(world: World, method: str) -> None:
    params = {"taskId": "run_x", "inputResponses": {}}

    answer = ask(world, MODERN, method, params, able=False)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == -32021
    required = answer.json()["error"]["data"]["requiredCapabilities"]
    assert required == {"extensions": {EXTENSION: {}}}


def test_2025_refuses_to_cancel_what_has_ended(world: World) -> None:
    uid = start(world, LEGACY, "return 1")["taskId"]
    until(world, LEGACY, uid, "completed")

    answer = ask(world, LEGACY, "tasks/cancel", {"taskId": uid}).json()

    assert answer["error"]["code"] == -32602


def test_what_is_answered_at_once_is_no_task(world: World) -> None:
    params = {"name": "search", "arguments": {"query": "add"}, "task": {}}

    error = ask(world, LEGACY, CALL, params).json()["error"]

    assert error["code"] == -32601


@pytest.mark.parametrize(
    ("arguments", "code"),
    [({"code": ""}, -32600), ({"code": 5}, -32602), ({}, -32602)],
)
def test_a_task_that_cannot_be_made_is_an_error(
    world: World, arguments: dict[str, Any], code: int
) -> None:
    params = {"name": "execute", "arguments": arguments, "task": {}}

    error = ask(world, LEGACY, CALL, params).json()["error"]

    assert error["code"] == code


def test_revisions_before_tasks_know_nothing_of_them(world: World) -> None:
    older: dict[str, Any] = {"mcp_protocol_version": "2025-06-18"}
    params = {"name": "execute", "arguments": {"code": "return 1"}, "task": {}}

    called = ask(world, LEGACY, CALL, params, **older).json()["result"]
    asked = ask(world, LEGACY, "tasks/get", {"taskId": "run_x"}, **older).json()

    assert called["structuredContent"]["value"] == 1
    assert asked["error"]["code"] == -32601


@pytest.mark.parametrize(
    ("era", "method"),
    [(MODERN, "tasks/list"), (MODERN, "tasks/result"), (LEGACY, "tasks/update")],
)
def test_each_revision_has_its_own_methods(world: World, era: str, method: str) -> None:
    params = {"taskId": "run_x", "inputResponses": {}}

    assert ask(world, era, method, params).json()["error"]["code"] == -32601


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, "²", "1 OR 1=1"])
def test_a_cursor_that_is_none_is_refused(world: World, cursor: str) -> None:
    answer = ask(world, LEGACY, "tasks/list", {"cursor": cursor}).json()

    assert answer["error"]["code"] == -32602


@pytest.mark.parametrize("era", ERAS)
def test_the_task_of_another_team_is_not_found_on_record(
    world: World, era: str
) -> None:
    uid = world.stack.execute(world.support, "return 'theirs'", era)["run"]
    before = hidden(world)

    for method in METHODS[era]:
        params = {"taskId": uid, "inputResponses": {}}
        error = ask(world, era, method, params).json()["error"]
        assert error["code"] == -32602
        assert "There is no run" in error["message"]
    assert hidden(world) == before + len(METHODS[era])
    with world.stack.database():
        assert Run.objects.get(uid=uid).status == "succeeded"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("uid", ["run_nonesuch", "", "run_\x00", "x" * 100_000])
def test_an_unknown_task_is_not_found(world: World, era: str, uid: str) -> None:
    error = ask(world, era, "tasks/get", {"taskId": uid}, mcp_name="=?").json()["error"]

    assert error["code"] in (-32602, types.HEADER_MISMATCH)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("params", [{}, {"taskId": 5}, {"taskId": ["a"]}])
def test_wrong_parameters_are_refused(
    world: World, era: str, params: dict[str, Any]
) -> None:
    for method in METHODS[era]:
        assert ask(world, era, method, params).json()["error"]["code"] == -32602


@pytest.mark.parametrize("named", ["run_other", ""])
def test_the_routing_header_has_to_name_the_task(world: World, named: str) -> None:
    uid = world.stack.execute(world.sales, "return 1")["run"]

    answer = ask(world, MODERN, "tasks/get", {"taskId": uid}, mcp_name=named)

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == types.HEADER_MISMATCH


def test_answers_that_nobody_asked_for_are_ignored(world: World) -> None:
    uid = start(world, MODERN, gated(world))["taskId"]
    approval = held(world, uid)
    yes = {"action": "accept", "content": {"decision": "approve", "reason": "me"}}
    params = {"taskId": uid, "inputResponses": {approval.uid: yes}}

    answer = ask(world, MODERN, "tasks/update", params).json()

    assert answer["result"]["resultType"] == "complete"
    with world.stack.database():
        approval.refresh_from_db()
        assert approval.state == "pending"
    ask(world, MODERN, "tasks/cancel", {"taskId": uid})


@pytest.mark.parametrize("era", ERAS)
def test_a_scope_that_is_lacking_is_named_and_on_record(world: World, era: str) -> None:
    uid = start(world, era, SLOW.format(seconds=5))["taskId"]
    reads, acts = ["tasks/get"], ["tasks/cancel"]
    if era == LEGACY:
        reads += ["tasks/result", "tasks/list"]
    else:
        acts += ["tasks/update"]
    asked = [(method, world.nothing, "runs:read") for method in reads]
    asked += [(method, world.read_only, "runs:execute") for method in acts]

    for method, key, scope in asked:
        params = {"taskId": uid, "inputResponses": {}}
        answer = ask(world, era, method, params, key)
        assert answer.status_code == 403
        assert f'scope="{scope}"' in answer.headers["www-authenticate"]
        with world.stack.database():
            refusal = Event.objects.filter(name="scope.refused").latest("pk")
        assert refusal.summary == f"agent lacks {scope} for {method}"
    with world.stack.database():
        assert Run.objects.get(uid=uid).cancel_requested_at is None


@pytest.mark.parametrize("era", ERAS)
def test_an_expired_key_has_no_tasks(world: World, era: str) -> None:
    for method in METHODS[era]:
        answer = ask(world, era, method, {"taskId": "run_x"}, world.expired)
        assert answer.status_code == 401
