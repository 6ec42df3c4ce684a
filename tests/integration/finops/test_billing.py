"""A month from draft to issue, over a ledger in PostgreSQL."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from pytest_django import Settings

from audit.models import Event
from finops.models import BillingPeriod, Statement, StatementLine
from finops.selectors.statements import document_of
from finops.services import billing, closing
from finops.services.billing import MonthClosed
from finops.services.closing import DraftStale
from tests.builders.chargeback import (
    AFTER_NOVEMBER,
    AFTER_OCTOBER,
    CONTROLLER,
    IN_NOVEMBER,
    IN_OCTOBER,
    NOVEMBER,
    OCTOBER,
    make_built,
    make_centre,
    make_closed,
    make_reviewed,
    make_rule,
    statement_of,
)
from tests.builders.finops import make_usage

pytestmark = pytest.mark.django_db


def lines(centre: str, month: date = OCTOBER) -> list[tuple[str, str, str, str]]:
    return [
        (line.category, line.team, f"{line.cost.normalize():f}", f"{line.billed:.2f}")
        for line in statement_of(centre, month).lines.order_by("number")
    ]


def test_a_draft_says_what_the_ledger_says() -> None:
    make_usage(cost="1.004", at=IN_OCTOBER, team="sales")
    make_usage(cost="2.003", at=IN_OCTOBER, team="sales")
    make_usage("tool/crm.read", "1", cost="0.5", at=IN_OCTOBER, team="support")
    make_usage(cost="9", at=IN_NOVEMBER, team="sales")

    period = make_built()

    assert lines("CC-sales") == [("usage", "sales", "3.007", "3.01")]
    assert lines("CC-support") == [("usage", "support", "0.5", "0.50")]
    assert (period.ledger_cost, period.billed) == (Decimal("3.507"), Decimal("3.51"))
    assert Event.objects.filter(name="chargeback.built").count() == 1


def test_months_open_from_the_first_usage_to_the_present() -> None:
    make_usage(at=datetime(2026, 8, 31, 23, 0, tzinfo=UTC))

    billing.ensure_periods(at=AFTER_OCTOBER)

    months = BillingPeriod.objects.order_by("month").values_list("month", flat=True)
    assert [f"{month:%Y-%m}" for month in months] == [
        *("2026-08", "2026-09", "2026-10", "2026-11"),
    ]


def test_a_draft_is_rebuilt_freely_and_keeps_what_did_not_change() -> None:
    make_usage(cost="1", at=IN_OCTOBER, team="sales")
    make_usage(cost="1", at=IN_OCTOBER, team="support")
    make_reviewed()
    for centre in ("CC-sales", "CC-support"):
        one = statement_of(centre)
        closing.accept(
            uid=one.uid, content=one.content, actor=CONTROLLER, at=AFTER_OCTOBER
        )
    make_usage(cost="2", at=IN_OCTOBER, team="sales")

    make_built()

    assert statement_of("CC-sales").state == "review"
    assert statement_of("CC-sales").billed == 3
    assert statement_of("CC-support").state == "accepted"


def test_what_was_accepted_is_what_closes() -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_reviewed()
    make_usage(cost="5", at=IN_OCTOBER)

    closing.close(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)
    make_built(NOVEMBER, at=AFTER_NOVEMBER)

    assert statement_of("CC-support").billed == 1
    (late,) = statement_of("CC-support", NOVEMBER).lines.all()
    assert (late.category, late.billed) == ("correction", Decimal(5))
    assert late.charge_month == OCTOBER


def test_accepting_names_what_was_read() -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_reviewed()
    one = statement_of("CC-support")
    make_usage(cost="5", at=IN_OCTOBER)
    make_built()

    with pytest.raises(DraftStale, match="read it again"):
        closing.accept(
            uid=one.uid, content=one.content, actor=CONTROLLER, at=AFTER_OCTOBER
        )

    assert statement_of("CC-support").state == "review"


def test_close_chains_and_issue_numbers() -> None:
    make_usage(cost="1", at=IN_OCTOBER, team="sales")
    make_usage(cost="2", at=IN_OCTOBER, team="support")
    make_usage(cost="4", at=IN_NOVEMBER, team="sales")
    make_centre("CC-support", charged=False)
    make_closed()
    closing.issue(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)
    make_closed(NOVEMBER, at=AFTER_NOVEMBER)

    chain = list(Statement.objects.order_by("position"))
    assert [one.position for one in chain] == [1, 2, 3]
    assert [one.previous_digest for one in chain] == [
        "",
        *(one.digest for one in chain[:-1]),
    ]
    assert [one.number for one in chain] == ["2026-10-0001", "SB-2026-10-0002", ""]
    closed = Event.objects.filter(name="statement.closed").order_by("pk")
    assert all(
        one.digest in event.body for one, event in zip(chain, closed, strict=True)
    )


def test_months_close_in_order() -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_reviewed()
    make_reviewed(NOVEMBER, at=AFTER_NOVEMBER)

    with pytest.raises(MonthClosed, match="close 2026-10 first"):
        closing.close(month=NOVEMBER, actor=CONTROLLER, at=AFTER_NOVEMBER)

    assert not BillingPeriod.objects.filter(state="closed").exists()


def test_a_month_that_is_not_over_is_not_reviewed() -> None:
    make_usage(cost="1", at=IN_NOVEMBER)
    make_built(NOVEMBER, at=IN_NOVEMBER)

    with pytest.raises(MonthClosed, match="not over"):
        closing.start_review(month=NOVEMBER, actor=CONTROLLER, at=IN_NOVEMBER)
    with pytest.raises(DraftStale, match="before its end"):
        closing.start_review(month=NOVEMBER, actor=CONTROLLER, at=AFTER_NOVEMBER)


def test_a_cut_before_that_of_the_last_month_is_not_closed() -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_reviewed(NOVEMBER, at=AFTER_NOVEMBER)
    make_usage(cost="1", at=IN_OCTOBER)
    make_closed()

    with pytest.raises(DraftStale, match="anew"):
        closing.close(month=NOVEMBER, actor=CONTROLLER, at=AFTER_NOVEMBER)


@pytest.mark.parametrize("change", ["rule", "row"])
def test_a_draft_that_no_longer_holds_is_not_closed(change: str) -> None:
    make_usage(cost="1", at=IN_OCTOBER, team="sales")
    make_usage(cost="1", at=IN_OCTOBER, team="support")
    make_reviewed()
    if change == "rule":
        make_rule(team="sales", receivers=[("CC-support", "1")], method="direct")
    else:
        StatementLine.objects.filter(statement=statement_of("CC-sales")).delete()
        Statement.objects.filter(cost_centre__slug="CC-sales").delete()

    with pytest.raises(DraftStale, match="Build the drafts anew"):
        closing.close(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)

    assert not Event.objects.filter(name="chargeback.closed").exists()


def test_unrated_usage_needs_a_reason() -> None:
    make_usage(cost=None, at=IN_OCTOBER)
    make_usage(cost="1", at=IN_OCTOBER)
    make_reviewed()

    with pytest.raises(Exception, match="1 quantities have no price"):
        closing.close(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)
    period = closing.close(
        month=OCTOBER,
        reason="the vendor's list comes later",
        actor=CONTROLLER,
        at=AFTER_OCTOBER,
    )

    assert (period.unrated, period.state) == (1, "closed")
    assert "comes later" in Event.objects.get(name="chargeback.closed").summary or (
        "comes later" in Event.objects.get(name="chargeback.closed").body
    )


def test_postgresql_refuses_to_change_what_is_closed() -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_closed()
    statement = statement_of("CC-support")
    line = statement.lines.get()

    def put(row: Any, **values: object) -> None:
        type(row).objects.filter(pk=row.pk).update(**values)

    for attempt in (
        lambda: put(statement, billed=0),
        lambda: put(statement, state="draft"),
        lambda: put(statement, state="issued", billed=0),
        lambda: put(line, billed=0),
        lambda: line.delete(),
        lambda: put(statement.period, state="review"),
        lambda: StatementLine.objects.create(
            statement=statement,
            number=2,
            sku="x",
            unit="x",
            quantity=1,
            cost=1,
            billed=1,
            charge_month=OCTOBER,
            key="k",
        ),
    ):
        with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
            attempt()

    assert statement_of("CC-support").billed == 1


def test_a_document_is_the_statement() -> None:
    make_usage(cost="1.25", at=IN_OCTOBER)
    make_closed()

    document = document_of(statement_of("CC-support"))

    assert (document.name, document.currency, document.total) == (
        "2026-10",
        "USD",
        Decimal("1.25"),
    )
    assert document.lines[0].charge_start == document.period_start
    assert document.digest == statement_of("CC-support").digest


@pytest.mark.parametrize(
    ("zone", "then"),
    [("Pacific/Auckland", "America/New_York"), ("America/New_York", "Asia/Kathmandu")],
)
def test_a_change_of_zone_neither_loses_nor_doubles_usage(
    settings: Settings, zone: str, then: str
) -> None:
    edge = datetime(2026, 11, 1, tzinfo=UTC)
    for hour in range(-24, 25):
        make_usage(cost="1", at=edge + timedelta(hours=hour))
    settings.REPORT_TIME_ZONE = zone
    billing.ensure_periods(at=IN_OCTOBER)
    settings.REPORT_TIME_ZONE = then
    make_closed()
    november = make_built(NOVEMBER, at=AFTER_NOVEMBER)

    october = BillingPeriod.objects.get(month=OCTOBER)
    assert (october.zone, november.zone) == (zone, then)
    assert october.ledger_cost + november.ledger_cost == 49
    assert 0 < october.ledger_cost < 49


def test_what_corrects_a_month_is_no_driver_of_the_next() -> None:
    make_centre("CC-sales")
    make_centre("CC-support")
    make_rule(
        sku="tool/*",
        method="proportional",
        driver="cost",
        receivers=[("CC-sales", "0"), ("CC-support", "0")],
    )
    make_usage(cost="1", at=IN_OCTOBER, team="sales")
    make_closed()
    make_usage(cost="90", at=IN_OCTOBER, team="sales")
    for team in ("sales", "support"):
        make_usage(cost="2", at=IN_NOVEMBER, team=team)
    make_usage("tool/crm.read", "1", cost="8", at=IN_NOVEMBER, team="ops")

    make_built(NOVEMBER, at=AFTER_NOVEMBER)

    shared = [row for row in lines("CC-support", NOVEMBER) if row[0] == "shared"]
    assert shared == [("shared", "ops", "4", "4.00")]
