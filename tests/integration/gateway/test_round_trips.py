"""How often a run asks the database: the same however many calls it made."""

import pytest
from celery.fixups.django import DjangoWorkerFixup  # type: ignore[attr-defined]
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.celery import app
from core.clock import now
from core.prepared import prepared_cursor
from gateway.models import Run
from gateway.sandbox.api import Call, Usage
from gateway.services import finish
from gateway.services.invoke import invoke
from policy.principal import Principal
from tests.integration.gateway.conftest import Hold

ENDING = finish.Ending("succeeded", 1, "", False, None, Usage())


def _queries_of_finish(principal: Principal, hold: Hold, calls: int) -> int:
    holder = hold(principal)
    for step in range(1, calls + 1):
        assert invoke(holder, Call(step, "trivial.negate", {"a": step})).error is None
    run = Run.objects.get(pk=holder.run_id)
    with CaptureQueriesContext(connection) as queries:
        assert finish.finish(run=run, ending=ENDING, definition_tokens=0, at=now())
    run.refresh_from_db()
    assert run.status == Run.Status.SUCCEEDED
    assert run.successful_calls == calls
    return len(queries)


def test_the_end_of_a_run_costs_the_same_for_any_number_of_calls(
    agent: Principal, hold: Hold
) -> None:
    _queries_of_finish(agent, hold, 1)  # reads the price book
    assert _queries_of_finish(agent, hold, 2) == _queries_of_finish(agent, hold, 12)


def test_a_call_is_two_statements(agent: Principal, hold: Hold) -> None:
    holder = hold(agent)
    invoke(holder, Call(1, "trivial.negate", {"a": 1}))
    with CaptureQueriesContext(connection) as queries:
        invoke(holder, Call(2, "trivial.negate", {"a": 2}))
    assert len(queries) == 2


@pytest.mark.usefixtures("db")
def test_a_statement_of_the_hot_path_is_planned_once() -> None:
    for number in (1, 2, 3):
        with prepared_cursor() as cursor:
            cursor.execute("SELECT %s::int + 40", [number])
            assert cursor.fetchone() == (number + 40,)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements "
            "WHERE statement LIKE 'SELECT $1::int + 40%%'"
        )
        assert cursor.fetchone() == (3,)


@pytest.mark.usefixtures("db")
def test_a_thread_keeps_its_connection_from_task_to_task() -> None:
    connection.ensure_connection()
    before = connection.connection
    DjangoWorkerFixup(app).close_database()
    assert connection.connection is before
    assert not before.closed
