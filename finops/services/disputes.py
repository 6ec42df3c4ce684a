"""Objections to lines: opened and argued by who pays, resolved by somebody else."""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import DENY, record
from core.errors import Denied, Invalid, NotFound
from core.ids import new_id
from core.money import plain
from core.reasons import reason_given
from finops.chargeback import events
from finops.chargeback.statement import ADJUSTMENT, CREDIT
from finops.models import Dispute, DisputeComment, Statement, StatementLine
from finops.services.adjustments import adjust
from finops.services.billing import MonthClosed, earliest_open
from finops.services.closing import locked_statement

State = Dispute.State
_RUN = re.compile(r"^run_[0-9a-z]{6,34}$")
MOST_RUNS, LONGEST = 20, 2000


@transaction.atomic
def open_dispute(
    *,
    uid: str,
    key: str,
    reason: str,
    actor: Actor,
    at: datetime,
    runs: Sequence[str] = (),
) -> Dispute:
    """Object to a line of a statement in review, closed or issued.

    ``runs`` are those it points to. An accepted statement is in review again. Raises
    NotFound, MonthClosed, Invalid.
    """
    statement = locked_statement(uid)
    if statement.state == Statement.State.DRAFT:
        raise MonthClosed("This is a draft that still changes: wait for its review.")
    line = statement.lines.filter(key=key).first()
    if line is None:
        raise NotFound("The statement has no such line: look at it again.")
    if statement.disputes.filter(key=key, state=State.OPEN).exists():
        raise Invalid("This line is disputed already: write in that dispute.")
    text = _text(reason)
    dispute = Dispute.objects.create(
        uid=new_id("dsp"),
        statement=statement,
        key=key,
        line=_snapshot(line),
        reason=text,
        opened_by=actor.id,
        opened_label=actor.label[:200],
        opened_at=at,
    )
    if found := _runs(runs):
        _add(dispute, text, found, actor, at)
    if statement.state == Statement.State.ACCEPTED:
        statement.state = Statement.State.REVIEW
        statement.accepted_by = statement.accepted_label = ""
        statement.accepted_at = None
        statement.save()
    record(
        events.DISPUTE_OPENED,
        actor=actor,
        at=at,
        target=target_of(dispute),
        payload={"line": line.sku, "reason": text[:400], "key": key},
    )
    return dispute


@transaction.atomic
def comment(
    *, uid: str, text: str, runs: Sequence[str], actor: Actor, at: datetime
) -> DisputeComment:
    """Write in a dispute that is open. Raises NotFound, MonthClosed, Invalid."""
    dispute = _locked(uid)
    made = _add(dispute, _text(text), _runs(runs), actor, at)
    record(events.DISPUTE_COMMENTED, actor=actor, at=at, target=target_of(dispute))
    return made


def resolve(
    *,
    uid: str,
    outcome: str,
    reason: str,
    actor: Actor,
    at: datetime,
    amount: Decimal | None = None,
) -> Dispute:
    """Reject an objection, or make it good by a credit or another ``amount``.

    A credit is given as what is credited, above 0. It stands on the statement's own
    month while that is open, else on the next open one, for the month of the line.
    Raises NotFound, MonthClosed, Invalid, and Denied for one's own dispute, which is
    on record.
    """
    try:
        return _resolve(uid, outcome, reason, amount, actor, at)
    except Denied as error:
        record(
            events.DISPUTE_REFUSED,
            actor=actor,
            at=at,
            target=target_of(Dispute.objects.get(uid=uid)),
            decision=DENY,
            reasons=[error.message],
        )
        raise


@transaction.atomic
def withdraw(*, uid: str, reason: str, actor: Actor, at: datetime) -> Dispute:
    """Take one's objection back. Raises NotFound, MonthClosed, Invalid."""
    dispute = _locked(uid)
    if dispute.opened_by != actor.id:
        raise Invalid("Only who opened a dispute withdraws it.")
    return _end(dispute, State.WITHDRAWN, reason, "", actor, at)


@transaction.atomic
def _resolve(
    uid: str,
    outcome: str,
    reason: str,
    amount: Decimal | None,
    actor: Actor,
    at: datetime,
) -> Dispute:
    dispute = _locked(uid)
    if dispute.opened_by == actor.id:
        raise Denied("Nobody resolves their own dispute: ask another controller.")
    if outcome == State.REJECTED:
        return _end(dispute, State.REJECTED, reason, "", actor, at)
    if outcome not in {State.CREDITED, State.ADJUSTED} or not amount:
        raise Invalid("Reject it, or give the amount of a credit or an adjustment.")
    credit = outcome == State.CREDITED
    if credit and amount < 0:
        raise Invalid("Give what is credited as an amount above 0.")
    statement = dispute.statement
    made = adjust(
        month=earliest_open(at=at, since=statement.period.month),
        centre=statement.cost_centre.slug,
        kind=CREDIT if credit else ADJUSTMENT,
        amount=-amount if credit else amount,
        charge_month=datetime.fromisoformat(dispute.line["charge_month"]).date(),
        reason=reason,
        dispute=dispute,
        actor=actor,
        at=at,
    )
    told = f"{plain(made.amount)} {made.period.currency} in {made.period}"
    return _end(dispute, State(outcome), reason, told, actor, at)


def _end(
    dispute: Dispute,
    state: Dispute.State,
    reason: str,
    amount: str,
    actor: Actor,
    at: datetime,
) -> Dispute:
    why = reason_given(reason)
    dispute.state, dispute.resolution = state, why
    dispute.resolved_by, dispute.resolved_label = actor.id, actor.label[:200]
    dispute.resolved_at = at
    dispute.save()
    record(
        events.DISPUTE_RESOLVED,
        actor=actor,
        at=at,
        target=target_of(dispute),
        payload={"state": state.value, "reason": why, "amount": amount},
    )
    return dispute


def target_of(dispute: Dispute) -> Target:
    """A dispute as the trail names it."""
    statement = dispute.statement
    label = f"{statement.period} {statement.cost_centre.slug} {dispute.line['sku']}"
    return Target("dispute", dispute.uid, label)


def _locked(uid: str) -> Dispute:
    """A dispute that is open; its month is locked before it, as everywhere."""
    found = Dispute.objects.filter(uid=uid).values_list("statement__uid").first()
    if found is None:
        raise NotFound("There is no such dispute, or you may not see it.")
    locked_statement(found[0])
    related = Dispute.objects.select_related(
        "statement__period", "statement__cost_centre"
    )
    dispute = related.select_for_update(of=("self",)).get(uid=uid)
    if dispute.state != State.OPEN:
        raise MonthClosed(f"This dispute is {dispute.state} already.")
    return dispute


def _snapshot(line: StatementLine) -> dict[str, str]:
    return {
        "number": str(line.number),
        "category": line.category,
        "sku": line.sku,
        "unit": line.unit,
        "quantity": plain(line.quantity),
        "cost": plain(line.cost),
        "billed": plain(line.billed),
        "charge_month": line.charge_month.isoformat(),
        "team": line.team,
        "project": line.project,
        "environment": line.environment,
    }


def _add(
    dispute: Dispute, text: str, runs: list[str], actor: Actor, at: datetime
) -> DisputeComment:
    return DisputeComment.objects.create(
        dispute=dispute,
        author=actor.id,
        label=actor.label[:200],
        text=text,
        runs=runs,
        at=at,
    )


def _text(text: str) -> str:
    if not text.strip() or "\x00" in text or len(text) > LONGEST:
        raise Invalid(f"Say what is wrong, in at most {LONGEST:,} characters.")
    return text.strip()


def _runs(runs: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(run.strip() for run in runs if run.strip()))
    if len(found) > MOST_RUNS or not all(map(_RUN.match, found)):
        raise Invalid(
            f"Name up to {MOST_RUNS} runs by their ids, such as run_7k3m9q2x."
        )
    return found
