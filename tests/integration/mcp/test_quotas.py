"""Quotas over two runner processes, and what an agent is told of them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from core.clock import now
from gateway.models import Run, ToolCall
from policy.models import ApiKey, Environment, Quota, QuotaRefusal, QuotaUse
from policy.services.quota_changes import remove_quota
from tests.builders.identity import ACTOR, make_team
from tests.builders.quotas import make_quota
from tests.integration.mcp.world import World
from tests.stack import Stack

LEVELS = ("key", "team", "organization", "tool", "environment", "all")
EIGHT_AT_ONCE = """import asyncio
from tools import trivial, ToolError

async def one(number):
    try:
        await trivial.add(a=number, b=1)
    except ToolError as error:
        return error.details

said = await asyncio.gather(*(one(number) for number in range(8)))
told = [details for details in said if details is not None]
return {"passed": 8 - len(told), "told": told[0] if told else None}
"""


@pytest.mark.parametrize("level", LEVELS)
def test_of_64_calls_by_two_runners_exactly_10_pass(
    world: World, two_runners: Stack, level: str
) -> None:
    stack = two_runners
    with stack.database():
        key = ApiKey.objects.get(prefix=world.sales[:11])
        place = Environment.objects.get(slug="dev")
        scopes: dict[str, dict[str, Any]] = {
            "key": {"key": key},
            "team": {"team": make_team()},
            "organization": {},
            "tool": {"tool": "trivial.*"},
            "environment": {"environment": place},
            "all": {"team": make_team(), "key": key, "environment": place,
                    "tool": "trivial.add"},
        }  # fmt: skip
        quotas = {
            name: make_quota(10 if name == level else 40, window="month", **scope)
            for name, scope in scopes.items()
        }
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(
                pool.map(lambda _: stack.execute(world.sales, EIGHT_AT_ONCE), range(8))
            )
        assert [one["error"] for one in found] == [None] * 8
        assert sum(one["value"]["passed"] for one in found) == 10
        (told,) = {
            (one["value"]["told"]["quota"], one["value"]["told"]["limit"])
            for one in found
            if one["value"]["told"]
        }
        assert told == (quotas[level].pk, 10)
        with stack.database():
            runs = Run.objects.filter(uid__in=[one["run"] for one in found])
            calls = ToolCall.objects.filter(run__in=runs)
            assert calls.filter(outcome="ok").count() == 10
            assert calls.filter(outcome="denied").count() == 54
            assert QuotaRefusal.objects.filter(quota=quotas[level]).count() == 54
            used = QuotaUse.objects.filter(quota__in=quotas.values())
            assert set(used.values_list("used", flat=True)) == {10}
            runners = set(runs.values_list("runner", flat=True))
        assert len(runners) == 2
    finally:
        _remove(stack, *quotas.values())


def test_a_run_beyond_the_quota_is_told_when_to_come_back(world: World) -> None:
    stack = world.stack
    with stack.database():
        quota = make_quota(0, metric="runs", window="day", team=make_team())
    try:
        result = stack.call(world.sales, "execute", {"code": "return 1"})
        assert result.is_error
        assert result.structured_content is not None
        error = result.structured_content["error"]
        assert error["code"] == "quota_exceeded"
        assert error["details"]["quota"] == quota.pk
        assert error["details"]["scope"] == "team sales"
        assert error["details"]["resets_at"] is not None
    finally:
        _remove(stack, quota)


def test_an_uncaught_refusal_keeps_its_details_in_the_envelope(world: World) -> None:
    stack = world.stack
    with stack.database():
        quota = make_quota(0, tool="trivial.upper", window="day")
    try:
        code = "from tools import trivial\nreturn trivial.upper(text='a')"
        envelope = stack.execute(world.sales, code)
        assert envelope["error"]["code"] == "quota_exceeded"
        assert envelope["error"]["details"]["quota"] == quota.pk
        fine = stack.execute(world.sales, "return 1 / 0")
        assert "details" not in fine["error"]
    finally:
        _remove(stack, quota)


def _remove(stack: Stack, *quotas: Quota) -> None:
    with stack.database():
        for quota in quotas:
            remove_quota(quota_id=quota.pk, reason="done", actor=ACTOR, at=now())
