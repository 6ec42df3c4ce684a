"""Reserving and settling in any order keeps the books: nothing lost, nothing twice."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import QuotaExceeded
from policy.models import Quota, QuotaHold, QuotaUse
from policy.quota import CONCURRENT, CPU, RUNS, TOKENS, Want
from policy.services import quotas
from tests.builders.identity import AT, make_team
from tests.builders.quotas import make_quota

RUN_IDS = st.integers(0, 4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), RUN_IDS, st.integers(1, 60)),
        st.tuples(st.just("crash"), RUN_IDS, st.integers(1, 60)),
        st.tuples(st.just("end"), RUN_IDS, st.integers(0, 100)),
        st.tuples(st.just("park"), RUN_IDS, st.just(0)),
        st.tuples(st.just("resume"), RUN_IDS, st.just(0)),
    ),
    max_size=40,
)


class Crash(Exception):
    """The worker dies before its transaction is committed."""


class Books:
    """What each quota ought to hold, kept beside the real rows."""

    def __init__(self) -> None:
        team = make_team()
        self.limits = {TOKENS: 100, CPU: 60, CONCURRENT: 3, RUNS: 12}
        made = [
            make_quota(limit, metric=metric, window="day", team=owner)
            for metric, limit in self.limits.items()
            for owner in (None, team)
        ]
        self.quotas: dict[str, list[Quota]] = {}
        for quota in made:
            self.quotas.setdefault(quota.metric, []).append(quota)
        self.cached = quotas.limits_of(team_id=team.pk, environment="dev")
        self.open: dict[int, bool] = {}
        """Runs that have not ended, and whether they are parked."""
        self.spent = {TOKENS: 0, CPU: 0}
        self.submitted = 0

    def reserve(self, run: int, amount: int, *, crash: bool) -> None:
        wants = [
            Want(RUNS),
            Want(CONCURRENT),
            Want(TOKENS, Decimal(amount), least=Decimal(1)),
            Want(CPU, Decimal(amount), least=Decimal(1)),
        ]
        with transaction.atomic():
            quotas.reserve_run(
                limits=self.cached, key_id=None, holder=f"r{run}", wants=wants, at=AT
            )
            if crash:
                raise Crash

    def act(self, step: str, run: int, amount: int) -> None:
        if step in ("submit", "crash") and run not in self.open:
            before = self.rows()
            try:
                self.reserve(run, amount, crash=step == "crash")
            except (QuotaExceeded, Crash):
                assert self.rows() == before
            else:
                self.open[run] = False
                self.submitted += 1
        elif step == "end":
            self.end(run, amount)
        elif step == "park" and self.open.get(run) is False:
            quotas.park(holder=f"r{run}", cpu_seconds=0)
            self.open[run] = True
        elif step == "resume" and self.open.get(run):
            self.open[run] = not quotas.resume(holder=f"r{run}")

    def end(self, run: int, share: int) -> None:
        """Settle with a share of what was reserved; twice, as after a redelivery."""
        used = {TOKENS: 0, CPU: 0}
        if run in self.open:
            held = QuotaHold.objects.filter(holder=f"r{run}")
            for metric in used:
                least = min(hold.amount for hold in held.filter(quota__metric=metric))
                used[metric] = int(least * share / 100)
            del self.open[run]
        for _ in range(2):
            quotas.settle(holder=f"r{run}", tokens=used[TOKENS], cpu_seconds=used[CPU])
        self.spent = {name: self.spent[name] + used[name] for name in self.spent}

    def rows(self) -> list[Any]:
        uses = QuotaUse.objects.order_by("quota").values_list("quota", "used")
        holds = QuotaHold.objects.order_by("holder", "quota")
        return [*uses.filter(used__gt=0), *holds.values_list("holder", "amount")]

    def check(self) -> None:
        running = sum(not parked for parked in self.open.values())
        ought = {RUNS: self.submitted, CONCURRENT: running}
        for metric, made in self.quotas.items():
            for quota in made:
                use = QuotaUse.objects.filter(quota=quota).first()
                used = use.used if use else Decimal(0)
                held = QuotaHold.objects.filter(quota=quota)
                known = sum(hold.amount for hold in held) + self.spent.get(metric, 0)
                assert 0 <= used <= self.limits[metric]
                assert used == ought.get(metric, known)


@pytest.mark.django_db
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_any_sequence_stays_within_the_limits_and_ends_at_what_was_used(
    steps: list[tuple[str, int, int]],
) -> None:
    with transaction.atomic():
        books = Books()
        for step, run, amount in steps:
            books.act(step, run, amount)
            books.check()
        for run in list(books.open):
            books.end(run, 50)
        books.check()
        assert not QuotaHold.objects.exists()
        transaction.set_rollback(True)
