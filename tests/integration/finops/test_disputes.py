"""A lead disputes a line; somebody else rejects it or makes it good."""

from decimal import Decimal

import pytest

from audit.actor import Actor
from audit.models import Event
from core.errors import Denied, Invalid
from finops.models import Adjustment, Dispute, DisputeComment
from finops.services import adjustments, closing, disputes
from finops.services.billing import MonthClosed
from tests.builders.chargeback import (
    AFTER_NOVEMBER,
    AFTER_OCTOBER,
    CONTROLLER,
    IN_OCTOBER,
    LEAD,
    NOVEMBER,
    OCTOBER,
    make_built,
    make_closed,
    make_dispute,
    make_reviewed,
    statement_of,
)
from tests.builders.finops import make_usage

pytestmark = pytest.mark.django_db


def resolved(
    dispute: Dispute, outcome: str, amount: str = "", **more: Actor
) -> Dispute:
    return disputes.resolve(
        uid=dispute.uid,
        outcome=outcome,
        amount=Decimal(amount) if amount else None,
        reason="as agreed",
        actor=more.get("actor", CONTROLLER),
        at=AFTER_OCTOBER,
    )


def test_a_credit_stands_on_the_month_while_it_is_open() -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_reviewed()
    dispute = make_dispute(statement_of("CC-support"))

    resolved(dispute, "credited", "4.50")

    statement = statement_of("CC-support")
    assert statement.billed == Decimal("5.50")
    lines = statement.lines.order_by("number").values_list("category", "billed")
    assert list(lines) == [("usage", 10), ("credit", Decimal("-4.50"))]
    assert Dispute.objects.get().state == "credited"
    names = Event.objects.order_by("pk").values_list("name", flat=True)
    assert {"dispute.opened", "adjustment.added", "dispute.resolved"} <= set(names)


def test_a_credit_for_a_closed_month_is_a_line_of_the_next() -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_closed()
    digest = statement_of("CC-support").digest

    resolved(make_dispute(statement_of("CC-support")), "credited", "4.5")
    make_built(NOVEMBER, at=AFTER_NOVEMBER)

    (credit,) = statement_of("CC-support", NOVEMBER).lines.all()
    assert (credit.category, credit.billed) == ("credit", Decimal("-4.50"))
    assert credit.charge_month == OCTOBER
    assert statement_of("CC-support").digest == digest


def test_nobody_resolves_their_own_dispute() -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_reviewed()
    dispute = make_dispute(statement_of("CC-support"), actor=CONTROLLER)

    with pytest.raises(Denied, match="their own"):
        resolved(dispute, "credited", "10")

    assert not Adjustment.objects.exists()
    assert Dispute.objects.get().state == "open"
    assert Event.objects.get(name="dispute.refused").decision == "deny"


def test_a_rejection_says_why_and_ends_it() -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_reviewed()
    dispute = make_dispute(statement_of("CC-support"))

    resolved(dispute, "rejected")

    assert Dispute.objects.get().resolution == "as agreed"
    with pytest.raises(MonthClosed, match="rejected already"):
        resolved(dispute, "credited", "1")
    with pytest.raises(MonthClosed, match="rejected already"):
        disputes.comment(
            uid=dispute.uid, text="but", runs=[], actor=LEAD, at=AFTER_OCTOBER
        )


def test_a_disputed_line_keeps_its_thread_when_the_draft_is_built_anew() -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_reviewed()
    dispute = make_dispute(statement_of("CC-support"))
    make_usage(cost="1", at=IN_OCTOBER)
    make_built()

    statement = statement_of("CC-support")
    assert statement.lines.get().key == dispute.key
    assert dispute.line["billed"] == "10"
    assert statement.disputes.get() == dispute
    assert DisputeComment.objects.get().runs == ["run_7k3m9q2x4p1a8c"]


def test_a_dispute_takes_an_acceptance_back() -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_reviewed()
    one = statement_of("CC-support")
    closing.accept(uid=one.uid, content=one.content, actor=LEAD, at=AFTER_OCTOBER)

    make_dispute(one)

    one = statement_of("CC-support")
    assert (one.state, one.accepted_by) == ("review", "")
    with pytest.raises(Invalid, match="disputed"):
        closing.accept(uid=one.uid, content=one.content, actor=LEAD, at=AFTER_OCTOBER)


def test_closing_over_an_open_dispute_needs_a_reason() -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_reviewed()
    make_dispute(statement_of("CC-support"))

    with pytest.raises(Invalid, match="1 disputes are open"):
        closing.close(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)
    closing.close(
        month=OCTOBER, reason="settled in November", actor=CONTROLLER, at=AFTER_OCTOBER
    )

    assert '"open_disputes":1' in Event.objects.get(name="chargeback.closed").body


@pytest.mark.parametrize(
    ("outcome", "amount", "said"),
    [
        ("credited", "", "give the amount"),
        ("credited", "-1", "above 0"),
        ("credited", "0.001", "decimals"),
        ("open", "1", "Reject it"),
    ],
)
def test_outcomes_that_make_no_sense(outcome: str, amount: str, said: str) -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_reviewed()
    dispute = make_dispute(statement_of("CC-support"))

    with pytest.raises(Invalid, match=said):
        resolved(dispute, outcome, amount)

    assert Dispute.objects.get().state == "open"


def test_a_draft_is_not_make_dispute() -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_built()

    with pytest.raises(MonthClosed, match="wait for its review"):
        make_dispute(statement_of("CC-support"))


def test_an_adjustment_is_withdrawn_while_its_month_is_open() -> None:
    make_usage(cost="10", at=IN_OCTOBER)
    make_reviewed()
    made = adjustments.adjust(
        month=OCTOBER,
        centre="CC-support",
        kind="adjustment",
        amount=Decimal(3),
        reason="licence",
        actor=CONTROLLER,
        at=AFTER_OCTOBER,
    )
    assert statement_of("CC-support").billed == 13

    adjustments.withdraw(
        uid=made.uid, reason="twice", actor=CONTROLLER, at=AFTER_OCTOBER
    )

    assert statement_of("CC-support").billed == 10
    closing.close(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)
    with pytest.raises(MonthClosed, match="next open month"):
        adjustments.adjust(
            month=OCTOBER,
            centre="CC-support",
            kind="credit",
            amount=Decimal(-1),
            reason="late",
            actor=CONTROLLER,
            at=AFTER_OCTOBER,
        )
