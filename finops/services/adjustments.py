"""Puts credits and other amounts on a month that is open, each with its reason."""

from datetime import date, datetime
from decimal import Decimal

from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.money import plain
from core.reasons import reason_given
from finops.chargeback import events
from finops.chargeback.shares import minor_places
from finops.chargeback.statement import ADJUSTMENT, CREDIT
from finops.models import Adjustment, BillingPeriod, Dispute
from finops.services.billing import (
    ensure_centres,
    open_period,
    rebuild,
)

_MOST = Decimal(10**12)


@transaction.atomic
def adjust(
    *,
    month: date,
    centre: str,
    kind: str,
    amount: Decimal,
    reason: str,
    actor: Actor,
    at: datetime,
    charge_month: date | None = None,
    dispute: Dispute | None = None,
) -> Adjustment:
    """Put an amount on a cost centre in an open month, and build its drafts anew.

    A credit is below 0. ``charge_month`` is the month that is made good, where it is
    an earlier one. Raises NotFound, MonthClosed, Invalid.
    """
    why = reason_given(reason)
    period = open_period(month)
    _check(period, kind, amount, charge_month)
    adjustment = Adjustment.objects.create(
        uid=new_id("adj"),
        period=period,
        cost_centre=ensure_centres([centre], at=at)[centre],
        kind=kind,
        amount=amount,
        charge_month=charge_month or month,
        reason=why,
        dispute=dispute,
        created_by=actor.id,
        created_label=actor.label[:200],
        created_at=at,
    )
    record(
        events.ADJUSTMENT_ADDED,
        actor=actor,
        at=at,
        target=_target(adjustment),
        payload=_told(adjustment, why)
        | {"dispute": dispute.uid if dispute is not None else ""},
    )
    _follow(period, actor, at)
    return adjustment


@transaction.atomic
def withdraw(*, uid: str, reason: str, actor: Actor, at: datetime) -> Adjustment:
    """Take an amount back while its month is open. Raises NotFound, MonthClosed."""
    why = reason_given(reason)
    found = Adjustment.objects.filter(uid=uid, withdrawn_at=None).first()
    if found is None:
        raise NotFound("There is no such adjustment: it may be withdrawn already.")
    period = open_period(found.period.month)
    adjustment = Adjustment.objects.select_for_update().get(pk=found.pk)
    if adjustment.withdrawn_at is not None:
        raise NotFound("There is no such adjustment: it may be withdrawn already.")
    adjustment.withdrawn_at = at
    adjustment.save(update_fields=["withdrawn_at"])
    record(
        events.ADJUSTMENT_WITHDRAWN,
        actor=actor,
        at=at,
        target=_target(adjustment),
        payload=_told(adjustment, why),
    )
    _follow(period, actor, at)
    return adjustment


def _follow(period: BillingPeriod, actor: Actor, at: datetime) -> None:
    """Let the drafts say it, at the cut they have; those never built wait for one."""
    if period.built_at is not None:
        rebuild(period, actor=actor, at=at)


def _check(
    period: BillingPeriod, kind: str, amount: Decimal, charge_month: date | None
) -> None:
    places = minor_places(period.currency)
    if kind not in {CREDIT, ADJUSTMENT}:
        raise Invalid(f"There is no {kind!r}: use {CREDIT} or {ADJUSTMENT}.")
    if not amount.is_finite() or not 0 < abs(amount) < _MOST:
        raise Invalid("Give an amount other than 0.")
    if amount != round(amount, places):
        raise Invalid(f"{period.currency} has {places} decimals: round the amount.")
    if kind == CREDIT and amount > 0:
        raise Invalid("A credit is below 0: it lowers what is to be paid.")
    if charge_month and (charge_month.day != 1 or charge_month > period.month):
        raise Invalid("Only this month or an earlier one can be made good.")


def _target(adjustment: Adjustment) -> Target:
    return Target("adjustment", adjustment.uid, adjustment.cost_centre.slug)


def _told(adjustment: Adjustment, reason: str) -> dict[str, str]:
    period = adjustment.period
    return {
        "kind": adjustment.kind,
        "amount": f"{plain(adjustment.amount)} {period.currency}",
        "month": str(period),
        "reason": reason,
    }
