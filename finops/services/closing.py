"""Takes a month through review to its close, and issues its statements."""

from dataclasses import replace
from datetime import date, datetime

from django.db import transaction

from audit.actor import Actor
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.money import plain
from core.reasons import reason_given
from finops.chargeback import events
from finops.chargeback.months import bounds
from finops.chargeback.statement import content_digest, digest_of
from finops.models import BillingPeriod, Dispute, Statement
from finops.selectors.billing import cut_before
from finops.services.billing import (
    MonthClosed,
    as_document,
    locked_period,
    make,
    open_period,
    statement_target,
    target_of,
)

Month, State = BillingPeriod.State, Statement.State


class DraftStale(Invalid):
    """The stored draft is no longer what the month comes to."""

    code = "draft_stale"
    status = 409


@transaction.atomic
def start_review(*, month: date, actor: Actor, at: datetime) -> BillingPeriod:
    """Show the drafts of a month that is over to those who pay.

    From now on they are built anew only when somebody asks for it. Raises NotFound,
    MonthClosed, DraftStale.
    """
    period = open_period(month)
    if period.state != Month.DRAFT:
        raise MonthClosed(f"{period} is in review already.")
    _check_over(period, at)
    period.state = Month.REVIEW
    period.save(update_fields=["state"])
    period.statements.filter(state=State.DRAFT).update(state=State.REVIEW)
    record(events.REVIEW_STARTED, actor=actor, at=at, target=target_of(period))
    return period


@transaction.atomic
def end_review(
    *, month: date, reason: str, actor: Actor, at: datetime
) -> BillingPeriod:
    """Make a month in review a draft again; what was accepted is so no more.

    Raises NotFound, MonthClosed, Invalid.
    """
    period = open_period(month)
    if period.state != Month.REVIEW:
        raise MonthClosed(f"{period} is not in review.")
    why = reason_given(reason)
    period.state = Month.DRAFT
    period.save(update_fields=["state"])
    period.statements.update(
        state=State.DRAFT, accepted_by="", accepted_label="", accepted_at=None
    )
    record(
        events.REVIEW_ENDED,
        actor=actor,
        at=at,
        target=target_of(period),
        payload={"reason": why},
    )
    return period


@transaction.atomic
def accept(*, uid: str, content: str, actor: Actor, at: datetime) -> Statement:
    """Agree to a statement as it was read; ``content`` names what it said.

    Raises NotFound, MonthClosed, DraftStale, Invalid.
    """
    statement = locked_statement(uid)
    if statement.state != State.REVIEW:
        raise MonthClosed(
            f"This statement is {statement.state}: only one in review is accepted."
        )
    if statement.content != content:
        raise DraftStale("The statement has changed since: read it again.")
    if statement.disputes.filter(state=Dispute.State.OPEN).exists():
        raise Invalid("A line is disputed: it is resolved or withdrawn first.")
    statement.state = State.ACCEPTED
    statement.accepted_by, statement.accepted_label = actor.id, actor.label[:200]
    statement.accepted_at = at
    statement.save()
    record(
        events.STATEMENT_ACCEPTED,
        actor=actor,
        at=at,
        target=statement_target(statement),
        payload={"total": _amount(statement), "content": content},
    )
    return statement


@transaction.atomic
def close(
    *, month: date, reason: str = "", actor: Actor, at: datetime
) -> BillingPeriod:
    """Close a month as it was reviewed: its statements never change again.

    Each one's digest covers the one before. Open disputes and unrated usage need a
    ``reason``. Raises NotFound, MonthClosed where it is not its turn, DraftStale where
    the drafts are no longer what the ledger, rules and adjustments come to, Invalid.
    """
    period = open_period(month)
    _check_turn(period, at)
    disputes = Dispute.objects.filter(
        statement__period=period, state=Dispute.State.OPEN
    ).count()
    if disputes or period.unrated:
        if not reason.strip():
            raise Invalid(
                f"{disputes} disputes are open and {period.unrated} quantities have no "
                "price: resolve them, or give the reason for closing nevertheless."
            )
        reason_given(reason)
    digest = _close_statements(period, actor, at)
    period.state, period.closed_at = Month.CLOSED, at
    period.closed_by, period.close_reason = actor.label[:200], reason.strip()[:400]
    period.save()
    record(
        events.PERIOD_CLOSED,
        actor=actor,
        at=at,
        target=target_of(period),
        payload={
            "statements": period.statements.count(),
            "total": f"{plain(period.billed)} {period.currency}",
            "cut": period.cut,
            "unrated": period.unrated,
            "open_disputes": disputes,
            "digest": digest,
            "reason": period.close_reason,
        },
    )
    return period


@transaction.atomic
def issue(*, month: date, actor: Actor, at: datetime) -> BillingPeriod:
    """Give a closed month's statements their numbers. Raises NotFound, MonthClosed."""
    period = locked_period(month)
    if period.state != Month.CLOSED:
        raise MonthClosed(f"{period} is {period.state}: close it first, and once.")
    found = list(_ordered(period))
    for place, statement in enumerate(found, 1):
        kind = "" if statement.charged else "SB-"
        statement.number = f"{kind}{period}-{place:04d}"
        statement.state, statement.issued_at = State.ISSUED, at
        statement.save(update_fields=["number", "state", "issued_at"])
        record(
            events.STATEMENT_ISSUED,
            actor=actor,
            at=at,
            target=statement_target(statement),
            after={"number": statement.number},
            payload={"total": _amount(statement), "digest": statement.digest},
        )
    period.state, period.issued_at = Month.ISSUED, at
    period.save(update_fields=["state", "issued_at"])
    record(
        events.PERIOD_ISSUED,
        actor=actor,
        at=at,
        target=target_of(period),
        payload={"statements": len(found)},
    )
    return period


def locked_statement(uid: str) -> Statement:
    """A statement, its month locked before it. Raises NotFound."""
    found = Statement.objects.filter(uid=uid).values_list("period__month").first()
    if found is None:
        raise NotFound("There is no such statement, or you may not see it.")
    locked_period(found[0])
    related = Statement.objects.select_related("period", "cost_centre")
    return related.select_for_update(of=("self",)).get(uid=uid)


def _check_over(period: BillingPeriod, at: datetime) -> None:
    end = bounds(period.month, period.zone)[1]
    if at < end:
        raise MonthClosed(f"{period} is not over yet: it ends {end:%Y-%m-%d %H:%M %Z}.")
    if period.built_at is None or period.built_at < end:
        raise DraftStale(f"Build {period} anew: its drafts are of before its end.")


def _check_turn(period: BillingPeriod, at: datetime) -> None:
    if period.state != Month.REVIEW:
        raise MonthClosed(f"{period} is a draft: put it up for review first.")
    _check_over(period, at)
    before = BillingPeriod.objects.filter(month__lt=period.month, closed_at=None)
    if first := before.order_by("month").first():
        raise MonthClosed(f"Months close in order: close {first} first.")
    if period.cut < cut_before(period):
        raise DraftStale("Build it anew: its cut lies before that of the last month.")


def _close_statements(period: BillingPeriod, actor: Actor, at: datetime) -> str:
    """Chain the statements of a month; the digest of the last."""
    made = make(period)
    last = Statement.objects.filter(position__isnull=False).order_by("-position")
    newest = last.first()
    taken, digest = (newest.position or 0, newest.digest) if newest else (0, "")
    found = list(_ordered(period))
    if set(made.lines) - {one.cost_centre.slug for one in found}:
        raise DraftStale("Build the drafts anew: a cost centre has none yet.")
    for place, statement in enumerate(found, taken + 1):
        lines = made.lines.get(statement.cost_centre.slug, ())
        document = as_document(statement, lines)
        if content_digest(document) != statement.content:
            raise DraftStale(
                f"Build the drafts anew: that of {statement.cost_centre} is no longer "
                "what ledger, rules and adjustments come to."
            )
        statement.previous_digest = digest
        digest = digest_of(replace(document, previous_digest=digest))
        statement.digest, statement.position = digest, place
        statement.state, statement.closed_at = State.CLOSED, at
        statement.save()
        record(
            events.STATEMENT_CLOSED,
            actor=actor,
            at=at,
            target=statement_target(statement),
            payload={
                "total": _amount(statement),
                "digest": digest,
                "previous_digest": statement.previous_digest,
                "position": place,
            },
        )
    return digest


def _ordered(period: BillingPeriod) -> list[Statement]:
    found = period.statements.select_related("period", "cost_centre")
    return list(found.order_by("cost_centre__slug", "pk"))


def _amount(statement: Statement) -> str:
    return f"{plain(statement.billed)} {statement.period.currency}"
