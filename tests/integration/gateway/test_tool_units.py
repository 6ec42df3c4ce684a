"""Calls are billed by their arguments and results, where a price asks for that."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.clock import now
from finops.models import UsageEvent
from finops.selectors.prices import unrated_skus
from finops.services.prices import current_book
from finops.services.rerating import Wanted, preview
from gateway.models import Run
from gateway.sandbox.api import Call, Usage
from gateway.selectors.runs import bill_of
from gateway.services import finish
from gateway.services.invoke import invoke
from policy.principal import Principal
from tests.builders.finops import make_price
from tests.integration.gateway.conftest import Hold

ENDING = finish.Ending("succeeded", 1, "", False, None, Usage())
pytestmark = pytest.mark.django_db


def _run(agent: Principal, hold: Hold, *calls: dict[str, int]) -> Run:
    holder = hold(agent)
    for step, arguments in enumerate(calls, start=1):
        invoke(holder, Call(step, "trivial.add", dict(arguments)))
    run = Run.objects.get(pk=holder.run_id)
    assert finish.finish(run=run, ending=ENDING, definition_tokens=0, at=now())
    run.refresh_from_db()
    return run


def _units(run: Run) -> list[tuple[int | None, str, Decimal, Decimal | None, str]]:
    rows = UsageEvent.objects.filter(run=run.uid, kind="tool_units")
    return [
        (row.step, row.unit, row.quantity, row.cost, row.flaw)
        for row in rows.order_by("step", "unit")
    ]


def test_each_successful_call_is_billed_by_its_values(
    agent: Principal, hold: Hold
) -> None:
    make_price("tool/trivial.add", "2", unit="Requests")
    make_price("tool/trivial.*", "0.5", unit="arguments.a")
    make_price("tool/*", "0.1", unit="result.sum")
    run = _run(agent, hold, {"a": 4, "b": 3}, {"a": -1, "b": 3}, {"a": 1})
    # The third call lacks an argument and never went out.
    assert _units(run) == [
        (1, "arguments.a", Decimal(4), Decimal(2), ""),
        (1, "result.sum", Decimal(0), None, "missing"),
        (2, "arguments.a", Decimal(0), None, "negative"),
        (2, "result.sum", Decimal(0), None, "missing"),
    ]
    first = UsageEvent.objects.get(run=run.uid, unit="arguments.a", step=1)
    assert (first.sku, first.known) == ("tool/trivial.add", "measured")
    lines = {(line.unit, line.cost): line.events for line in bill_of(run).lines}
    assert lines["Requests", Decimal(4)] == 2
    assert lines["arguments.a", Decimal(2)] == lines["arguments.a", None] == 1


def test_what_could_not_be_read_stays_unrated_and_says_why(
    agent: Principal, hold: Hold
) -> None:
    make_price("tool/*", "0.1", unit="result.rows")
    start = now()
    run = _run(agent, hold, {"a": 4, "b": 3})
    assert [row[-1] for row in _units(run)] == ["missing"]
    wanted = Wanted(start, now(), "tool/trivial.add")
    assert [one.sku for one in preview(wanted)] == []
    found = unrated_skus(None, since=start, book=current_book())
    lacks = {(one.sku, one.unit): one.lacks for one in found}
    assert lacks["tool/trivial.add", "result.rows"] == "value: missing"
    assert lacks["tool/trivial.add", "Requests"] == "no price"


def test_without_such_a_price_nothing_is_read(agent: Principal, hold: Hold) -> None:
    make_price("tool/*", "2", unit="Requests")
    _run(agent, hold, {"a": 1, "b": 2})
    counts = []
    for unit in ("", "arguments.a"):
        if unit:
            make_price("tool/*", "2", unit=unit)
            current_book()
        holder = hold(agent)
        for step in range(1, 4):
            invoke(holder, Call(step, "trivial.add", {"a": step, "b": 3}))
        run = Run.objects.get(pk=holder.run_id)
        with CaptureQueriesContext(connection) as queries:
            finish.finish(run=run, ending=ENDING, definition_tokens=0, at=now())
        counts.append(len(queries))
        assert len(_units(run)) == (3 if unit else 0)
    assert counts[1] == counts[0] + 1
