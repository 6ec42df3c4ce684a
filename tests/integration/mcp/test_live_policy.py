"""Rules that are published while scripts run, over two runners and the web process."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from audit.models import Event
from core.clock import now
from deploy.supervisor import has_ended
from gateway.models import Run, ToolCall
from gateway.services.cancel import cancel
from policy.models import Membership, PolicyVersion
from tests.builders.identity import ACTOR, make_team, make_user
from tests.integration.mcp.rest import post, publish, signed_in
from tests.integration.mcp.world import World
from tests.stack import Stack

LIVE_SECONDS = 2.0
MOST_RUNS = 40
LONG = """import time
from tools import trivial, ToolError

told = []
for number in range(1000):
    try:
        trivial.is_even(a=number)
        said = "allowed"
    except ToolError as error:
        said = error.message
    if told[-1:] != [said]:
        told.append(said)
    if "the end" in said:
        break
    time.sleep(0.05)
return told
"""


def deny(name: str, message: str) -> dict[str, object]:
    tools = {"tools": ["trivial.is_even"]}
    return {"id": name, "effect": "deny", "select": tools, "message": message}


@pytest.fixture
def admin(world: World) -> Iterator[httpx2.Client]:
    """An administrator's session; no rule is live afterwards."""
    with world.stack.database():
        olga = make_user("olga", (make_team("support"), Membership.Role.ADMIN))
    with signed_in(world.stack, olga) as client:
        yield client
        client.post("policy/versions/0/revert/", json={"reason": "the test is over"})


def one_run_each(world: World, stack: Stack) -> list[str]:
    """A long-running script in each of two runners; what was too many is cancelled."""
    found: dict[str, str] = {}
    for _ in range(MOST_RUNS):
        uid = stack.execute(world.sales, LONG, wait=0)["run"]
        with stack.database():
            runs = Run.objects.filter(uid=uid, calls__outcome="ok")
            stack.wait_for(runs.exists, f"{uid} to call", 30)
            runner = Run.objects.get(uid=uid).runner
            if found.setdefault(runner, uid) != uid:
                cancel(uid=uid, actor=ACTOR, at=now())
        if len(found) == 2:
            return sorted(found.values())
    raise AssertionError(f"of {MOST_RUNS} runs none began in the second runner")


def decided_by(stack: Stack, uids: list[str], version: int) -> None:
    """Wait until each run has made a call by this version of the rules."""
    with stack.database():
        runs = Run.objects.filter(uid__in=uids, calls__policy_version=version)
        stack.wait_for(
            lambda: runs.distinct().count() == len(uids), f"version {version}", 20
        )


def explained(admin: httpx2.Client) -> tuple[int, str]:
    """Which version the web process decides by, and what."""
    call = {
        "tool": "trivial.is_even",
        "arguments": {"a": 1},
        "team": "sales",
        "environment": "dev",
    }
    found = post(admin, "policy/explain/", call)
    return found["policy_version"], found["effect"]


def test_published_rules_hold_within_two_seconds_in_every_process(
    world: World, two_runners: Stack, admin: httpx2.Client
) -> None:
    stack = two_runners
    before, _ = explained(admin)
    uids = one_run_each(world, stack)

    denied = publish(admin, deny("no", "stop for now"))
    decided_by(stack, uids, denied)
    assert explained(admin) == (denied, "deny")

    # By another process, so that the web process has to find out as well.
    (stack.data_dir / "none.yaml").write_text("rules: []")
    stack.run(
        *(sys.executable, "manage.py", "policy", "apply"),
        *(str(stack.data_dir / "none.yaml"), "--reason", "go on"),
    )
    stack.wait_for(lambda: explained(admin)[0] > denied, "web to follow", LIVE_SECONDS)
    allowed, effect = explained(admin)
    assert effect == "allow"
    decided_by(stack, uids, allowed)

    ended = publish(admin, deny("no", "this is the end"))
    decided_by(stack, uids, ended)
    with stack.database():
        runs = Run.objects.filter(uid__in=uids)
        over = runs.filter(status=Run.Status.SUCCEEDED)
        stack.wait_for(lambda: over.count() == len(uids), "the end", 20)
        answers: list[Any] = list(runs.values_list("value", flat=True))
    prefix = "trivial.is_even was denied by rule no: "
    told = ["allowed", f"{prefix}stop for now", "allowed", f"{prefix}this is the end"]
    assert answers == [told, told]
    assert not any(map(has_ended, stack.processes.values()))
    _no_call_is_late(stack, uids, [before, denied, allowed, ended])


def _no_call_is_late(stack: Stack, uids: list[str], versions: list[int]) -> None:
    """Each call was decided by what was live two seconds before it, or newer rules."""
    with stack.database():
        at = dict(PolicyVersion.objects.values_list("number", "published_at"))
        for uid in uids:
            calls = list(ToolCall.objects.filter(run__uid=uid).order_by("step"))
            used = [call.policy_version or 0 for call in calls]
            assert used == sorted(used)
            assert sorted(set(used)) == versions
            for call, version in zip(calls, used, strict=True):
                assert version >= _due(versions, at, call.intent_at)
                denies = version in (versions[1], versions[3])
                assert call.decision == ("deny" if denies else "allow")
            trail = Event.objects.filter(run=uid, step__isnull=False)
            decisions = trail.filter(name__in=("call.intended", "call.refused"))
            recorded = [
                json.loads(body)["payload"]["policy_version"]
                for body in decisions.order_by("step").values_list("body", flat=True)
            ]
            assert recorded == used
        assert Run.objects.filter(uid__in=uids, epoch=1).count() == 2
        assert Run.objects.filter(uid__in=uids).values("runner").distinct().count() == 2


def _due(versions: list[int], at: dict[int, datetime], moment: datetime) -> int:
    """The newest version that had been live for two seconds."""
    live = timedelta(seconds=LIVE_SECONDS)
    begun = datetime.min.replace(tzinfo=UTC)
    due = (number for number in versions if at.get(number, begun) + live <= moment)
    return max(due)
