"""Months that are charged, made by the real services over a ledger."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from audit.actor import Actor
from core.clock import now
from finops.chargeback.allocation import Receiver, Rule
from finops.models import (
    Adjustment,
    AllocationVersion,
    BillingPeriod,
    CostCentre,
    Dispute,
    Statement,
)
from finops.services import adjustments, billing, closing, cost_centres, disputes
from finops.services.fx import set_rate
from policy.models import User
from tests.builders.finops import make_usage
from tests.builders.identity import actor_of

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
IN_OCTOBER = datetime(2026, 10, 12, 9, 0, tzinfo=UTC)
IN_NOVEMBER = datetime(2026, 11, 12, 9, 0, tzinfo=UTC)
AFTER_OCTOBER = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
AFTER_NOVEMBER = datetime(2026, 12, 3, 9, 0, tzinfo=UTC)
CONTROLLER = Actor("user", "user:dan", "Dan Example")
LEAD = Actor("user", "user:alice", "Alice Example")


def make_centre(
    slug: str, *, name: str = "", owner: str = "", charged: bool = True
) -> CostCentre:
    """A cost centre as the controller sets it."""
    return cost_centres.set_centre(
        slug=slug,
        name=name or slug.title(),
        owner=owner,
        charged=charged,
        reason="as the books have it",
        actor=CONTROLLER,
        at=IN_OCTOBER,
    )


def make_rule(
    slug: str = "platform-team",
    *,
    team: str = "",
    sku: str = "",
    source: str = "usage",
    method: str = "even",
    driver: str = "",
    receivers: Sequence[tuple[str, str]] = (),
    valid_from: date = OCTOBER,
    position: int = 1,
) -> AllocationVersion:
    """A version of a rule; receivers are pairs of cost centre and weight."""
    return cost_centres.set_rule(
        rule=Rule(
            slug=slug,
            version=0,
            source=source,
            sku=sku,
            team=team,
            method=method,
            driver=driver,
            receivers=tuple(
                Receiver(centre, Decimal(weight)) for centre, weight in receivers
            ),
        ),
        name=slug.replace("-", " ").capitalize(),
        position=position,
        valid_from=valid_from,
        reason="agreed with the teams",
        actor=CONTROLLER,
        at=now(),
    )


def make_built(month: date = OCTOBER, *, at: datetime = AFTER_OCTOBER) -> BillingPeriod:
    """A month whose drafts are built."""
    return billing.build(month=month, actor=CONTROLLER, at=at)


def make_reviewed(
    month: date = OCTOBER, *, at: datetime = AFTER_OCTOBER
) -> BillingPeriod:
    """A month that is in review."""
    make_built(month, at=at)
    return closing.start_review(month=month, actor=CONTROLLER, at=at)


def make_closed(
    month: date = OCTOBER, *, at: datetime = AFTER_OCTOBER, reason: str = ""
) -> BillingPeriod:
    """A month that was reviewed and closed."""
    make_reviewed(month, at=at)
    return closing.close(month=month, reason=reason, actor=CONTROLLER, at=at)


def statement_of(centre: str, month: date = OCTOBER) -> Statement:
    """The statement of a cost centre and month."""
    return Statement.objects.select_related("period", "cost_centre").get(
        cost_centre__slug=centre, period__month=month
    )


def make_credit(
    centre: str, amount: str, *, reason: str = "an outage of the platform"
) -> Adjustment:
    """A credit on October."""
    return adjustments.adjust(
        month=OCTOBER,
        centre=centre,
        kind="credit",
        amount=Decimal(amount),
        reason=reason,
        actor=CONTROLLER,
        at=AFTER_OCTOBER,
    )


def make_dispute(statement: Statement, *, actor: Actor = LEAD) -> Dispute:
    """A dispute of the first line, with a run that it points to."""
    return disputes.open_dispute(
        uid=statement.uid,
        key=statement.lines.order_by("number")[0].key,
        reason="We never ran this.",
        runs=["run_7k3m9q2x4p1a8c"],
        actor=actor,
        at=AFTER_OCTOBER,
    )


def make_disputed(user: User) -> dict[str, str]:
    """October in review: a statement of CC-100 with a disputed line and a credit."""
    make_rule(team="nobody", receivers=())
    make_usage(cost="12.5", at=IN_OCTOBER, team="sales", cost_centre="CC-100")
    make_usage("tool/crm.read", "3", cost="7", at=IN_OCTOBER, cost_centre="CC-200")
    make_reviewed()
    dispute = make_dispute(statement_of("CC-100"), actor=actor_of(user))
    return {
        "statement": dispute.statement.uid,
        "line": dispute.key,
        "dispute": dispute.uid,
        "adjustment": make_credit("CC-100", "-2.5").uid,
    }


def make_rate(month: date, currency: str, rate: str) -> None:
    """A month's rate as finance sets it: the organization's currency for 1."""
    set_rate(
        month=month,
        currency=currency,
        rate=Decimal(rate),
        reason="month's end",
        actor=CONTROLLER,
        at=now(),
    )
