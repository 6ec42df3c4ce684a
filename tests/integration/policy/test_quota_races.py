"""Of many at once no more than the limit get through, at every nesting."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier

import pytest
from django.db import connection, transaction

from core.errors import QuotaExceeded
from policy.models import QuotaHold, QuotaUse
from policy.quota import CALLS, CONCURRENT, TOKENS, Want, covering
from policy.services import quotas
from tests.builders.identity import AT
from tests.integration.policy.conftest import Nest

LEVELS = ("key", "team", "organization", "tool", "environment", "combined")
_AT_ONCE = 16


def _together(act: Callable[[int], None], number: int = 64) -> list[bool]:
    """Who got through, of ``number`` tries by threads with their own connections."""
    barrier = Barrier(_AT_ONCE)

    def one(count: int) -> bool:
        barrier.wait(30)
        try:
            with transaction.atomic():
                act(count)
        except QuotaExceeded:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, range(number)))


@pytest.mark.parametrize("tight", LEVELS)
def test_of_64_calls_exactly_10_pass_a_quota_of_10(nest: Nest, tight: str) -> None:
    made = {level: nest.quota(10 if level == tight else 40, level) for level in LEVELS}
    limits = quotas.limits_of(team_id=nest.team.pk, environment="busy")
    counted = covering(limits, {CALLS}, key_id=nest.key.pk, tool="crm.list")
    assert len(counted) == len(LEVELS)
    passed = _together(lambda _: quotas.reserve_call(limits=counted, at=AT))
    assert sum(passed) == 10
    for quota in made.values():
        assert QuotaUse.objects.get(quota=quota).used == 10


@pytest.mark.parametrize("level", ["key", "team", "organization", "environment"])
def test_of_64_runs_no_more_hold_tokens_than_there_are(nest: Nest, level: str) -> None:
    quota = nest.quota(1_000, level, TOKENS)
    at_once = nest.quota(60, "organization", CONCURRENT)
    limits = quotas.limits_of(team_id=nest.team.pk, environment="busy")
    wants = [Want(CONCURRENT), Want(TOKENS, amount=_big(90), least=_big(20))]

    def submit(count: int) -> None:
        quotas.reserve_run(
            limits=limits,
            key_id=nest.key.pk,
            holder=f"run_{count}",
            wants=wants,
            at=AT,
        )

    # Eleven whole reservations leave 10, which is less than the least.
    assert sum(_together(submit)) == 11
    held = QuotaHold.objects.filter(quota=quota)
    assert sum(hold.amount for hold in held) == 990
    assert QuotaUse.objects.get(quota=quota).used == 990

    def end(count: int) -> None:
        for _ in range(2):
            quotas.settle(holder=f"run_{count}", tokens=7, cpu_seconds=0)

    assert all(_together(end))
    assert QuotaUse.objects.get(quota=quota).used == 77
    assert QuotaUse.objects.get(quota=at_once).used == 0
    assert not QuotaHold.objects.exists()


def test_random_nestings_under_load_never_wait_in_a_circle(nest: Nest) -> None:
    for level in LEVELS:
        nest.quota(10_000, level)
    for level in ("key", "team", "organization", "environment"):
        nest.quota(10_000, level, CONCURRENT)
        nest.quota(10**9, level, TOKENS)
    limits = quotas.limits_of(team_id=nest.team.pk, environment="busy")

    def act(count: int) -> None:
        chance = random.Random(count)
        some = chance.sample(limits, chance.randint(1, len(limits)))
        key_id = chance.choice([None, nest.key.pk])
        tool = chance.choice(["crm.list", "erp.list"])
        holder = f"run_{count % 40}"
        if count % 3 == 0:
            quotas.settle(holder=holder, tokens=5, cpu_seconds=0)
        elif count % 3 == 1:
            wants = [Want(CONCURRENT), Want(TOKENS, _big(50), least=_big(1))]
            quotas.reserve_run(
                limits=some, key_id=key_id, holder=f"r{count}", wants=wants, at=AT
            )
            quotas.park(holder=f"r{count}", cpu_seconds=0)
        else:
            counted = covering(some, {CALLS}, key_id=key_id, tool=tool)
            quotas.reserve_call(limits=counted, at=AT)

    # A deadlock is an error of the database, which is no QuotaExceeded.
    assert all(_together(act, 256))


def _big(number: int) -> Decimal:
    return Decimal(number)
