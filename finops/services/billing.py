"""Builds the statements of a month, from the ledger, for as long as it is open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Min

from audit.actor import SYSTEM, Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.money import total
from finops.chargeback import events
from finops.chargeback.build import Lines, Sources, statements
from finops.chargeback.months import bounds, month_at, next_month
from finops.chargeback.statement import (
    StatementDocument,
    StatementLine,
    content_digest,
    plain,
)
from finops.models import BillingPeriod, CostCentre, Statement, UsageEvent
from finops.models import StatementLine as Row
from finops.selectors.billing import (
    month_of,
    platform_unrated,
    rates_known,
    sources,
    unrated,
)
from finops.selectors.statements import rates_of

State = Statement.State


class MonthClosed(Invalid):
    """The month does not allow this in the state it is in."""

    code = "month_closed"
    status = 409


@dataclass(frozen=True, slots=True)
class Made:
    """What a month comes to, before it is stored."""

    sources: Sources
    lines: Lines


def ensure_periods(*, at: datetime) -> None:
    """Open every month from the ledger's first on, up to the present one."""
    zone: str = settings.REPORT_TIME_ZONE
    present = month_at(at, zone)
    newest = BillingPeriod.objects.order_by("-month").first()
    if newest is None:
        oldest = UsageEvent.objects.aggregate(oldest=Min("at"))["oldest"]
        month = min(month_at(oldest, zone), present) if oldest else present
    else:
        month = next_month(newest.month)
    while month <= present:
        BillingPeriod.objects.get_or_create(
            month=month, defaults={"zone": zone, "currency": settings.CURRENCY}
        )
        month = next_month(month)


@transaction.atomic
def take_cut() -> int:
    """The ledger's largest id, once all rows up to it are committed.

    Bookings wait for the moment that this transaction lasts.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT finops_take_cut()")
        return int(cursor.fetchone()[0])


def build(*, month: date, actor: Actor, at: datetime) -> BillingPeriod:
    """Build the statements of an open month anew, from all that is booked by now.

    What somebody has accepted stays accepted where the statement still says the same.
    Raises NotFound, MonthClosed.
    """
    ensure_periods(at=at)
    cut = take_cut()
    with transaction.atomic():
        period = open_period(month)
        # Another may have built it while this one waited for the month.
        period.cut, period.built_at = max(period.cut, cut), at
        return rebuild(period, actor=actor, at=at)


def build_drafts(*, at: datetime) -> int:
    """Build every draft anew, the oldest first; a month in review is left alone."""
    ensure_periods(at=at)
    drafts = BillingPeriod.objects.filter(state=BillingPeriod.State.DRAFT)
    months = list(drafts.order_by("month").values_list("month", flat=True))
    for month in months:
        build(month=month, actor=SYSTEM, at=at)
    return len(months)


def rebuild(period: BillingPeriod, *, actor: Actor, at: datetime) -> BillingPeriod:
    """Build at the cut that the locked period has, in the running transaction."""
    period.rates = {name: plain(rate) for name, rate in rates_known(period)}
    made = make(period)
    changed = _store(period, made, at)
    found = made.sources
    period.unrated = unrated(period) + platform_unrated(period)
    period.ledger_cost = total(one.cost for one in found.groups)
    period.platform_cost = total(one.amount for one in found.platform)
    period.adjusted = total(one.amount for one in found.by_hand)
    period.billed = total(
        line.billed for lines in made.lines.values() for line in lines
    )
    period.platform = [
        [one.name, f"{one.charge_month:%Y-%m}", plain(one.amount)]
        for one in found.platform
    ]
    period.allocations = [one.as_dict() for one in found.plans]
    period.save()
    if changed or actor != SYSTEM:
        record(
            events.DRAFTS_BUILT,
            actor=actor,
            at=at,
            target=target_of(period),
            payload={
                "statements": len(made.lines),
                "total": f"{plain(period.billed)} {period.currency}",
                "cut": period.cut,
                "changed": changed,
            },
        )
    return period


def make(period: BillingPeriod) -> Made:
    """What the month comes to at its cut; nothing is written."""
    found = sources(period)
    return Made(found, statements(month_of(period), found))


def open_period(month: date) -> BillingPeriod:
    """A month that may change, locked; changes of months take turns.

    Raises NotFound, MonthClosed.
    """
    period = locked_period(month)
    if not period.is_open:
        raise MonthClosed(
            f"{period} is {period.state}: what comes later is a correction in the "
            "next open month."
        )
    return period


def locked_period(month: date) -> BillingPeriod:
    """A month, locked. Raises NotFound."""
    period = BillingPeriod.objects.select_for_update().filter(month=month).first()
    if period is None:
        raise NotFound("There is no such month: months are opened as they begin.")
    return period


def earliest_open(*, at: datetime, since: date | None = None) -> date:
    """The first month that is open: where credits and corrections go."""
    ensure_periods(at=at)
    found = BillingPeriod.objects.filter(closed_at=None)
    if since is not None:
        found = found.filter(month__gte=since)
    return found.order_by("month").values_list("month", flat=True)[0]


def target_of(period: BillingPeriod) -> Target:
    """A month as the trail names it."""
    return Target("billing_period", str(period), str(period))


def statement_target(statement: Statement) -> Target:
    """A statement as the trail names it."""
    label = f"{statement.period} {statement.cost_centre.slug}"
    return Target("statement", statement.uid, label)


def as_document(
    statement: Statement, lines: Sequence[StatementLine]
) -> StatementDocument:
    """A statement with lines that are not stored."""
    period = statement.period
    start, end = bounds(period.month, period.zone)
    return StatementDocument(
        uid=statement.uid,
        month=period.month,
        period_start=start,
        period_end=end,
        zone=period.zone,
        currency=period.currency,
        cost_centre=statement.cost_centre.slug,
        cost_centre_name=statement.cost_centre_name,
        charged=statement.charged,
        state=statement.state,
        number=statement.number,
        digest=statement.digest,
        previous_digest=statement.previous_digest,
        closed_at=statement.closed_at,
        issued_at=statement.issued_at,
        lines=tuple(lines),
        rates=rates_of(period),
    )


def ensure_centres(names: Sequence[str], *, at: datetime) -> dict[str, CostCentre]:
    """The cost centres of these names, made where there are none yet."""
    CostCentre.objects.bulk_create(
        (
            CostCentre(
                slug=name,
                name=name if name != "unallocated" else "Not allocated",
                charged=name != "unallocated",
                created_at=at,
            )
            for name in names
        ),
        ignore_conflicts=True,
    )
    return CostCentre.objects.in_bulk(list(names), field_name="slug")


def _store(period: BillingPeriod, made: Made, at: datetime) -> int:
    """Write what changed of the month's statements; how many did."""
    centres = ensure_centres(sorted(made.lines), at=at)
    standing = {
        one.cost_centre_id: one
        for one in period.statements.select_related("cost_centre")
    }
    changed = 0
    for name, lines in sorted(made.lines.items()):
        statement = standing.pop(centres[name].pk, None)
        changed += _store_one(period, centres[name], statement, lines)
    for statement in standing.values():
        changed += 1
        if statement.disputes.exists():
            _store_one(period, statement.cost_centre, statement, ())
        else:
            statement.delete()
    return changed


def _store_one(
    period: BillingPeriod,
    centre: CostCentre,
    statement: Statement | None,
    lines: Sequence[StatementLine],
) -> bool:
    new = statement is None
    if statement is None:
        statement = Statement(uid=new_id("sta"))
    statement.period, statement.cost_centre = period, centre
    statement.cost_centre_name, statement.charged = centre.name, centre.charged
    document = as_document(statement, lines)
    says = content_digest(document)
    waiting = State.DRAFT if period.state == period.State.DRAFT else State.REVIEW
    if says == statement.content and not new:
        return False
    statement.content, statement.state = says, waiting
    statement.cost, statement.billed = document.cost, document.total
    statement.accepted_by = statement.accepted_label = ""
    statement.accepted_at = None
    statement.save()
    statement.lines.all().delete()
    Row.objects.bulk_create((_row(statement, line) for line in lines), batch_size=1000)
    return True


def _row(statement: Statement, line: StatementLine) -> Row:
    allocated = line.allocated
    return Row(
        statement=statement,
        number=line.number,
        category=line.category,
        team=line.origin.team,
        cost_centre=line.origin.cost_centre,
        project=line.origin.project,
        environment=line.origin.environment,
        sku=line.sku,
        unit=line.unit,
        quantity=line.quantity,
        cost=line.cost,
        billed=line.billed,
        charge_month=line.charge_month,
        rule=allocated.rule if allocated else "",
        rule_version=allocated.version if allocated else None,
        method=allocated.method if allocated else "",
        driver=allocated.driver if allocated else "",
        ratio=allocated.ratio if allocated else None,
        price_id=line.price,
        reason=line.reason,
        key=line.key,
    )
