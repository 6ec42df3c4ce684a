"""Statements, disputes and months as a person may see them, with what is to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from audit.web import Rights
from core.errors import NotFound
from core.money import plain, total
from finops.chargeback.months import bounds, named
from finops.chargeback.statement import digest_of
from finops.models import (
    Adjustment,
    AllocationVersion,
    BillingPeriod,
    CostCentre,
    Dispute,
    Statement,
)
from finops.selectors.billing import (
    at_other_rates,
    cut_before,
    later,
    ledger_cost,
    rules_of,
)
from finops.selectors.statements import document_of, statements_of
from policy.access import CHARGEBACK_DISPUTE, COSTS_ADMIN, COSTS_READ, Access
from policy.models import Team


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at before a month is closed; ``url_name`` leads to it."""

    label: str
    good: bool
    says: str
    url_name: str = ""


def centres_for(access: Rights, capability: str = COSTS_READ) -> frozenset[str] | None:
    """Cost centres of a person or key: its teams', and those owned; None is all."""
    teams = access.teams_for(capability)
    if teams is None:
        return None
    own = Team.objects.filter(slug__in=teams).values_list("cost_centre", flat=True)
    found = frozenset(own)
    if teams and isinstance(access, Access):
        owned = CostCentre.objects.filter(owner=access.username)
        found |= frozenset(owned.values_list("slug", flat=True))
    return found


def visible_statements(
    access: Rights, capability: str = COSTS_READ
) -> QuerySet[Statement]:
    """Statements of the cost centres that are the caller's."""
    found = Statement.objects.select_related("period", "cost_centre")
    centres = centres_for(access, capability)
    return found if centres is None else found.filter(cost_centre__slug__in=centres)


def statement_for(access: Rights, uid: str, capability: str = COSTS_READ) -> Statement:
    """A statement that the caller may see. Raises NotFound."""
    found = visible_statements(access, capability).filter(uid=uid).first()
    if found is None:
        raise NotFound("There is no such statement, or you may not see it.")
    return found


def may_dispute(access: Access, statement: Statement) -> bool:
    """Whether this person speaks for the statement's cost centre."""
    centres = centres_for(access, CHARGEBACK_DISPUTE)
    return centres is None or statement.cost_centre.slug in centres


def visible_disputes(access: Rights) -> QuerySet[Dispute]:
    """Disputes of statements that a person may see."""
    found = Dispute.objects.select_related(
        "statement__period", "statement__cost_centre"
    )
    centres = centres_for(access)
    if centres is None:
        return found
    return found.filter(statement__cost_centre__slug__in=centres)


def dispute_for(access: Access, uid: str) -> Dispute:
    """A dispute that this person may see. Raises NotFound."""
    found = visible_disputes(access).filter(uid=uid).first()
    if found is None:
        raise NotFound("There is no such dispute, or you may not see it.")
    return found


def visible_adjustments(access: Access) -> QuerySet[Adjustment]:
    """What was put on a person's cost centres by hand."""
    found = Adjustment.objects.select_related("period", "cost_centre", "dispute")
    centres = centres_for(access)
    return found if centres is None else found.filter(cost_centre__slug__in=centres)


def period_named(text: str) -> BillingPeriod:
    """A month that was opened. Raises NotFound, Invalid."""
    period = BillingPeriod.objects.filter(month=named(text)).first()
    if period is None:
        raise NotFound("There is no such month: months are opened as they begin.")
    return period


@dataclass(frozen=True, slots=True)
class MonthRow:
    """A month of the list, with the figures of what a person may see of it."""

    period: BillingPeriod
    billed: Decimal | None
    statements: int
    accepted: int
    disputes: int
    todo: str


def month_rows(access: Rights, *, at: datetime) -> list[MonthRow]:
    """Every month, the newest first; three queries however many there are."""
    seen = visible_statements(access)
    agreed = Q(state__in=("accepted", "closed", "issued"))
    sums: dict[int, dict[str, Any]] = {
        row["period"]: dict(row)
        for row in seen.values("period").annotate(
            billed=Sum("billed"), count=Count("pk"), agreed=Count("pk", filter=agreed)
        )
    }
    disputes: dict[int, int] = dict(
        visible_disputes(access)
        .filter(state=Dispute.State.OPEN)
        .values_list("statement__period")
        .annotate(count=Count("pk"))
        .values_list("statement__period", "count")
    )
    periods = list(BillingPeriod.objects.order_by("-month"))
    first_open = min((one.month for one in periods if one.is_open), default=None)
    found = []
    for period in periods:
        row = sums.get(period.pk, {"billed": None, "count": 0, "agreed": 0})
        open_disputes = disputes.get(period.pk, 0)
        todo = _todo(period, open_disputes, first_open, at)
        found.append(
            MonthRow(
                period=period,
                billed=row["billed"],
                statements=row["count"],
                accepted=row["agreed"],
                disputes=open_disputes,
                todo=todo,
            )
        )
    return found


def _todo(
    period: BillingPeriod, disputes: int, first_open: date | None, at: datetime
) -> str:
    if disputes:
        return f"Resolve {disputes} dispute{'' if disputes == 1 else 's'}"
    if period.state == period.State.CLOSED:
        return "Issue it"
    if not period.is_open:
        return ""
    if at < bounds(period.month, period.zone)[1]:
        return "Not over yet"
    if period.state == period.State.DRAFT:
        return "Put it up for review"
    return (
        "Close it" if period.month == first_open else f"Close {first_open:%Y-%m} first"
    )


def checks(period: BillingPeriod) -> list[Check]:
    """What a controller looks at before closing, each worked out anew."""
    found = [_against_the_ledger(period), _lines_add_up(period)]
    found += [
        Check(
            "Usage without a price",
            not period.unrated,
            f"{period.unrated:,} quantities" if period.unrated else "none",
            "unrated",
        ),
        _disputes(period),
    ]
    if period.is_open:
        found += [_rates(period), _later(period), _rules(period), _in_order(period)]
    else:
        found.append(chain_check(statements_of(period)))
    return found


def _against_the_ledger(period: BillingPeriod) -> Check:
    booked = ledger_cost(period)
    stated = total(period.statements.values_list("cost", flat=True)) - total(
        (period.platform_cost, period.adjusted)
    )
    return Check(
        "Statements against the ledger",
        booked == stated,
        f"{plain(booked)} {period.currency} both"
        if booked == stated
        else f"{plain(stated)} against {plain(booked)}",
    )


def _lines_add_up(period: BillingPeriod) -> Check:
    wrong = [
        one
        for one in period.statements.annotate(lined=Sum("lines__billed"))
        if (one.lined or Decimal(0)) != one.billed
    ]
    return Check(
        "Rounded lines add up to each total",
        not wrong,
        f"not in {len(wrong)}" if wrong else "in every statement",
    )


def _disputes(period: BillingPeriod) -> Check:
    count = Dispute.objects.filter(
        statement__period=period, state=Dispute.State.OPEN
    ).count()
    return Check("Open disputes", not count, str(count or "none"), "disputes")


def _rates(period: BillingPeriod) -> Check:
    rows = at_other_rates(period)
    return Check(
        "Exchange rates",
        not rows,
        f"{rows:,} row{'' if rows == 1 else 's'} at another rate than the month's: "
        "price them anew"
        if rows
        else "the month's, in every row",
        "rerate",
    )


def _later(period: BillingPeriod) -> Check:
    rows, cost = later(period)
    return Check(
        "Booked since this was built",
        not rows,
        f"{rows:,} rows of {plain(cost)} {period.currency}: build anew, or they "
        "are corrections of the next month"
        if rows
        else "nothing",
    )


def _rules(period: BillingPeriod) -> Check:
    used = {(one["rule"], one["version"]) for one in period.allocations}
    now = {(rule.slug, rule.version) for rule in rules_of(period.month)}
    return Check(
        "Allocation rules",
        used == now,
        "those in force" if used == now else "others are in force: build anew",
        "allocation_rules",
    )


def _in_order(period: BillingPeriod) -> Check:
    before = BillingPeriod.objects.filter(month__lt=period.month, closed_at=None)
    first = before.order_by("month").first()
    in_order = first is None and period.cut >= cut_before(period)
    return Check(
        "Months before",
        in_order,
        "closed" if in_order else f"{first or 'build anew'}: it comes first",
    )


def chain_check(statements: Sequence[Statement] | QuerySet[Statement]) -> Check:
    """Whether closed statements still say what their digests say."""
    broken = [one for one in statements if digest_of(document_of(one)) != one.digest]
    return Check(
        "Digests of the closed statements",
        not broken,
        f"{len(broken)} differ" if broken else "each worked out again",
    )


def with_open_disputes(statements: QuerySet[Statement]) -> QuerySet[Statement]:
    """The statements with ``disputed``, how many of their lines are."""
    is_open = Q(disputes__state=Dispute.State.OPEN)
    return statements.annotate(disputed=Count("disputes", filter=is_open))


def may_speak(access: Access, dispute: Dispute) -> bool:
    """Whether a person may write in a dispute: who pays, and who closes months."""
    return access.may(COSTS_ADMIN) or may_dispute(access, dispute.statement)


def by_category(statement: Statement) -> list[tuple[str, Decimal, int]]:
    """What the lines of each category come to, and how many they are."""
    found = statement.lines.values("category").annotate(
        billed=Sum("billed"), count=Count("pk")
    )
    return list(found.values_list("category", "billed", "count"))


@dataclass(frozen=True, slots=True)
class CentreRow:
    """A cost centre with the teams that name it; ``kept`` is false for a mere name."""

    slug: str
    name: str
    owner: str
    charged: bool
    teams: tuple[str, ...]
    kept: bool


def centre_rows(access: Access) -> list[CentreRow]:
    """The cost centres of a person, and those that only teams know; two queries."""
    mine = centres_for(access)
    teams: dict[str, list[str]] = {}
    for slug, centre in Team.objects.order_by("slug").values_list(
        "slug", "cost_centre"
    ):
        teams.setdefault(centre, []).append(slug)
    kept = {one.slug: one for one in CostCentre.objects.all()}
    names = sorted({*kept, *(name for name in teams if name)})
    return [
        _centre_row(name, kept.get(name), teams.get(name, []))
        for name in names
        if mine is None or name in mine
    ]


def _centre_row(name: str, kept: CostCentre | None, teams: Sequence[str]) -> CentreRow:
    return CentreRow(
        slug=name,
        name=kept.name if kept else name,
        owner=kept.owner if kept else "",
        charged=kept.charged if kept else True,
        teams=tuple(teams),
        kept=kept is not None,
    )


def latest_versions() -> list[AllocationVersion]:
    """The newest version of every rule, in the order they are tried."""
    found = (
        AllocationVersion.objects.select_related("rule")
        .order_by("rule_id", "-version")
        .distinct("rule_id")
    )
    return sorted(found, key=lambda one: (one.rule.position, one.rule_id))


def first_open_name() -> str:
    """The first month that is open, such as ``2026-11``; "" where none was opened."""
    found = BillingPeriod.objects.filter(closed_at=None).order_by("month").first()
    return str(found) if found else ""
