"""Which runs are attempts at one task."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker

from core.errors import Invalid
from gateway.models import Task
from gateway.services.grouping import join_task
from policy.principal import Principal
from tests.builders.identity import AT

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
AGENT = Principal(
    kind="service_account",
    id="sa:support/agent",
    label="agent",
    team_id=1,
    team="support",
    cost_centre="CC-1",
    project="default",
    environment="dev",
    scopes=(),
)
OTHER = replace(AGENT, id="sa:sales/agent", team="sales")
TRACED = replace(AGENT, trace_id=TRACE)
TALKING = replace(AGENT, session="s1")
IDLE = timedelta(seconds=900)


@pytest.mark.django_db
def test_a_name_comes_before_the_trace_and_that_before_the_session() -> None:
    both = replace(TRACED, session="s1")
    named = join_task(both, "refund 7", AT)
    assert join_task(AGENT, "refund 7", AT).uid == named.uid
    traced = join_task(both, "", AT)
    assert join_task(TRACED, "", AT + IDLE * 9).uid == traced.uid
    talking = join_task(TALKING, "", AT)
    assert len({named.uid, traced.uid, talking.uid}) == 3
    assert Task.objects.get(uid=named.uid).attempts == 2


@pytest.mark.django_db
def test_without_any_of_them_each_run_is_a_task_of_its_own() -> None:
    tasks = [join_task(AGENT, "", AT) for _ in range(3)]
    assert len({task.uid for task in tasks}) == 3
    assert {task.attempts for task in tasks} == {1}


@pytest.mark.django_db
def test_a_session_that_paused_for_too_long_begins_another_task() -> None:
    first = join_task(TALKING, "", AT)
    again = join_task(TALKING, "", AT + IDLE)
    assert (again.uid, again.attempts) == (first.uid, 2)
    later = join_task(TALKING, "", AT + IDLE * 2 + timedelta(seconds=1))
    assert (later.uid == first.uid, later.attempts) == (False, 1)
    assert join_task(TALKING, "", AT + IDLE * 2).uid == later.uid


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("one", "label"), [(AGENT, "refund"), (TRACED, ""), (TALKING, "")]
)
def test_nobody_joins_the_task_of_another(one: Principal, label: str) -> None:
    other = replace(one, id=OTHER.id, team=OTHER.team)
    mine, theirs = join_task(one, label, AT), join_task(other, label, AT)
    assert mine.uid != theirs.uid
    assert Task.objects.get(uid=theirs.uid).team == "sales"


@pytest.mark.django_db
def test_a_name_has_at_most_200_characters() -> None:
    with pytest.raises(Invalid):
        join_task(AGENT, "x" * 201, AT)
    assert not Task.objects.exists()


@pytest.fixture
def committed(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """A database without the usual transaction around the test."""
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            Task.objects.filter(principal=AGENT.id).delete()
            connection.close()


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(
    ("one", "label"), [(AGENT, "refund"), (TRACED, ""), (TALKING, "")]
)
def test_runs_that_come_at_once_are_numbered_without_gaps(
    one: Principal, label: str
) -> None:
    start = Barrier(8)

    def join(_: int) -> tuple[str, int]:
        start.wait()
        try:
            with transaction.atomic():
                task = join_task(one, label, AT)
            return task.uid, task.attempts
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(join, range(8)))
    assert len({uid for uid, _ in found}) == 1
    assert sorted(number for _, number in found) == list(range(1, 9))
