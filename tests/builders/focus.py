"""Random months of statements with the usage they were made of."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from core.money import multiply, total
from finops.chargeback import months, shares
from finops.chargeback import statement as kinds
from finops.chargeback.statement import (
    Allocated,
    Origin,
    StatementDocument,
    StatementLine,
)
from finops.exports.bundle import Content
from finops.exports.charges import Charge, Month, Pricing
from finops.exports.spread import Receiver, Used, spread
from finops.exports.words import EXACT

NAMES = ("support", "R&D", "=HYPERLINK(1)", "-2+3", "Ünïcødé 数据", '"quoted", comma')
ZONES = ("UTC", "Pacific/Auckland", "America/New_York", "Asia/Kathmandu")
MONTHS = (date(2024, 2, 1), date(2026, 3, 1), date(2026, 4, 1), date(2026, 11, 1))
SKUS = (
    ("model/openai/gpt-5/input", "Tokens", "input"),
    ("model/openai/gpt-5/cached_read", "Tokens", "cached_read"),
    ("tokens/result", "Tokens", ""),
    ("tool/crm.search", "Requests", ""),
    ("sandbox/cpu", "Seconds", ""),
    ("sandbox/memory", "GB-Seconds", ""),
)


@dataclass
class Draft:
    """A group of usage with the lines it is charged by."""

    rows: list[Used]
    lines: dict[str, StatementLine]


def moment(at: date, zone: str) -> datetime:
    return datetime(at.year, at.month, at.day, tzinfo=ZoneInfo(zone))


def line(**values: Any) -> StatementLine:
    """A line; ``number`` and ``billed`` follow when its statement is made."""
    known: dict[str, Any] = {
        "number": 0,
        "category": kinds.USAGE,
        "origin": Origin(),
        "sku": "",
        "unit": "",
        "quantity": Decimal(0),
        "cost": Decimal(0),
        "billed": Decimal(0),
        "charge_month": date(2026, 11, 1),
        "charge_start": datetime(2026, 11, 1, tzinfo=UTC),
        "charge_end": datetime(2026, 12, 1, tzinfo=UTC),
        "allocated": None,
        "price": None,
        "reason": "",
        "key": "",
    }
    return StatementLine(**(known | values))


def _days(month: date, zone: str) -> list[tuple[datetime, datetime]]:
    start, end = months.bounds(month, zone)
    last = (end - timedelta(hours=1)).astimezone(ZoneInfo(zone)).date()
    found = [start.date() + timedelta(days=n) for n in range((last - month).days + 1)]
    return [(moment(day, zone), moment(day + timedelta(days=1), zone)) for day in found]


@st.composite
def usage(
    draw: st.DrawFn, days: list[tuple[datetime, datetime]], kind: str
) -> list[Used]:
    """Rows of one SKU at one price: some taken back, some free, some tiny."""
    price = draw(
        st.decimals("0", "100000", places=12) | st.sampled_from([Decimal("0.0000004")])
    )
    rate = draw(st.sampled_from([None, Decimal("0.9"), Decimal("157.123456789012")]))
    rows = []
    chosen = st.lists(st.sampled_from(days), min_size=1, max_size=4, unique=True)
    for start, end in draw(chosen):
        quantity = draw(st.decimals("-1000000", "1000000000", places=9))
        cost = multiply(quantity, price)
        rows.append(
            Used(
                start,
                end,
                quantity,
                cost if rate is None else multiply(cost, rate),
                price if rate is None else EXACT.multiply(price, rate),
                draw(st.integers(1, 9)),
                draw(st.sampled_from(NAMES)),
                "gpt-5" if kind else "",
                kind,
                "measured",
                None if rate is None else Pricing("EUR", price, cost),
            )
        )
    return rows


@st.composite
def groups(draw: st.DrawFn, month: date, zone: str) -> Draft:
    """Usage of one origin, charged to it or shared, of this month or the one before."""
    sku, unit, kind = draw(st.sampled_from(SKUS))
    before = draw(st.booleans())
    charged = months.month_before(month) if before else month
    rows = draw(usage(_days(charged, zone), kind))
    centre = draw(st.sampled_from(NAMES))
    start, end = months.bounds(charged, zone)
    values: dict[str, Any] = {
        "category": kinds.CORRECTION if before else kinds.USAGE,
        "origin": Origin(
            draw(st.sampled_from(NAMES)),
            centre,
            "default",
            draw(st.sampled_from(NAMES)),
        ),
        "sku": sku,
        "unit": unit,
        "charge_month": charged,
        "charge_start": start,
        "charge_end": end,
        "key": f"k{draw(st.integers(0, 10**9))}",
    }
    cost = total(row.cost for row in rows)
    if draw(st.booleans()):
        return Draft(rows, {centre: line(**values, cost=cost)})
    receivers = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    weights = draw(
        st.lists(
            st.decimals("0", "1000", places=3),
            min_size=len(receivers),
            max_size=len(receivers),
        ).filter(any)
    )
    return Draft(
        rows,
        {
            receiver: line(
                **values | {"category": kinds.CORRECTION if before else kinds.SHARED},
                cost=part,
                allocated=Allocated("shared", 2, "proportional", "runs", ratio),
            )
            for receiver, part, ratio in zip(
                receivers,
                shares.split(cost, weights, places=12),
                shares.ratios(weights),
                strict=True,
            )
        },
    )


def _names(draft: Draft) -> tuple[object, ...]:
    found = next(iter(draft.lines.values()))
    return found.origin, found.sku, found.charge_month


@st.composite
def amounts(draw: st.DrawFn, month: date, zone: str) -> tuple[str, StatementLine]:
    """A credit or an adjustment by hand."""
    credit = draw(st.booleans())
    amount = draw(st.decimals("-1000", "-0.01" if credit else "1000", places=2))
    start, end = months.bounds(month, zone)
    return draw(st.sampled_from(NAMES)), line(
        category=kinds.CREDIT if credit else kinds.ADJUSTMENT,
        cost=amount,
        charge_month=month,
        charge_start=start,
        charge_end=end,
        reason=draw(st.sampled_from(NAMES)),
    )


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """A closed month of any zone, with statements that are the sum of their usage."""
    zone, month = draw(st.sampled_from(ZONES)), draw(st.sampled_from(MONTHS))
    drafts = draw(
        st.lists(groups(month, zone), min_size=1, max_size=4, unique_by=_names)
    )
    by_hand = draw(st.lists(amounts(month, zone), max_size=2))
    places = draw(st.sampled_from([0, 2]))
    return content_of(drafts, by_hand, month, zone, places=places)


def content_of(
    drafts: list[Draft],
    by_hand: list[tuple[str, StatementLine]],
    month: date,
    zone: str,
    *,
    places: int = 2,
) -> Content:
    """A closed month of these groups of usage and amounts."""
    lines: dict[str, list[tuple[int | None, StatementLine]]] = defaultdict(list)
    for index, one in enumerate(drafts):
        for centre, found in one.lines.items():
            lines[centre].append((index, found))
    for centre, found in by_hand:
        lines[centre].append((None, found))
    documents, receivers = _statements(lines, month, zone, places)
    start, end = months.bounds(month, zone)
    return Content(
        Month(
            name=f"{month:%Y-%m}",
            start=start,
            end=end,
            zone=zone,
            currency="USD",
            organisation="Beispiel AG",
            created=start,
            updated=end,
            closed=True,
            names={NAMES[0]: "Customer support"},
            numbers={},
        ),
        documents,
        list(_charges(drafts, documents, receivers)),
    )


def _statements(
    lines: dict[str, list[tuple[int | None, StatementLine]]],
    month: date,
    zone: str,
    places: int,
) -> tuple[list[StatementDocument], dict[int, list[Receiver]]]:
    start, end = months.bounds(month, zone)
    documents: list[StatementDocument] = []
    receivers: dict[int, list[Receiver]] = defaultdict(list)
    for number, (centre, found) in enumerate(sorted(lines.items()), start=1):
        costs = [one.cost for _, one in found]
        whole = shares.rounded(total(costs), places=places)
        numbered = tuple(
            replace(one, number=position, billed=billed)
            for position, ((_, one), billed) in enumerate(
                zip(found, shares.round_all(costs, whole, places=places), strict=True),
                start=1,
            )
        )
        document = StatementDocument(
            uid=f"stm_{number}",
            month=month,
            period_start=start,
            period_end=end,
            zone=zone,
            currency="USD",
            cost_centre=centre,
            cost_centre_name=f"{centre} (name)",
            charged=number % 3 != 0,
            state="issued",
            number=f"2026-{number:04}",
            digest="d" * 64,
            previous_digest="",
            closed_at=end,
            issued_at=end,
            lines=numbered,
        )
        documents.append(document)
        for (index, _), one in zip(found, numbered, strict=True):
            if index is not None:
                receivers[index].append((document, one))
    return documents, receivers


def _charges(
    drafts: list[Draft],
    documents: list[StatementDocument],
    receivers: dict[int, list[Receiver]],
) -> Iterator[Charge]:
    for index, one in enumerate(drafts):
        yield from spread(one.rows, receivers[index])
    for document in documents:
        for found in document.lines:
            if not found.sku:
                yield Charge(
                    document, found, found.charge_start, found.charge_end, found.cost
                )


def _group(
    month: date,
    zone: str,
    cost: str,
    *receivers: str,
    sku: int = 0,
    charged: date | None = None,
    shared: bool = False,
    **values: Any,
) -> Draft:
    """Usage of the first and the last day of a month."""
    code, unit, kind = SKUS[sku]
    when = charged or month
    start, end = months.bounds(when, zone)
    price = Decimal("0.00000125") if unit == "Tokens" else Decimal("0.1")
    days = _days(when, zone)
    rows = [
        Used(*day, amount / price, amount, price, 7, "sa:x/y", "m", kind, "measured")
        for day, amount in ((days[0], Decimal(cost)), (days[-1], Decimal(cost) * 2))
    ]
    known: dict[str, Any] = {
        "origin": Origin("support", "CC-1", "default", "Ünï 数据"),
        "sku": code,
        "unit": unit,
        "charge_month": when,
        "charge_start": start,
        "charge_end": end,
    }
    known |= values
    weights = [Decimal(position) for position in range(1, len(receivers) + 1)]
    parts = shares.split(total(row.cost for row in rows), weights, places=12)
    ratios = shares.ratios(weights)
    lines = {}
    for receiver, part, ratio in zip(receivers, parts, ratios, strict=True):
        if shared:
            known["allocated"] = Allocated("r", 1, "fixed", "", ratio)
        lines[receiver] = line(**known, cost=part)
    return Draft(rows, lines)


def _in_euros(row: Used) -> Pricing:
    rate = Decimal("1.25")
    return Pricing("EUR", (row.price or Decimal(0)) / rate, row.cost / rate)


def sample(month: date, zone: str = "Pacific/Auckland") -> Content:
    """A month with a charge of every kind."""
    before = months.month_before(month)
    start, end = months.bounds(month, zone)
    fixed: dict[str, Any] = {
        "charge_month": month,
        "charge_start": start,
        "charge_end": end,
    }
    hundred = Decimal(100)
    fee = {"category": kinds.PLATFORM, "sku": "platform/licence", "unit": "Months"}
    drafts = [
        _group(month, zone, "1.234567891235", "CC-1"),
        _group(month, zone, "0", "CC-1", sku=1),
        _group(month, zone, "10.01", *("CC-1", "Ünï 数据", "=2+3"), sku=3, shared=True),
        _group(
            *(month, zone, "-0.5", "CC-1"),
            sku=4,
            charged=before,
            category=kinds.CORRECTION,
        ),
        Draft(
            [Used(start, end, Decimal(1), hundred, hundred)],
            {"CC-1": line(**fixed, **fee, cost=hundred)},
        ),
    ]
    # The shared costs and the correction were priced in another currency.
    for draft in drafts[2:4]:
        draft.rows = [replace(row, pricing=_in_euros(row)) for row in draft.rows]
    by_hand = [
        ("CC-1", kinds.CREDIT, "-5", "=sum(1)"),
        ("=2+3", kinds.ADJUSTMENT, "2.5", "Ünï"),
        ("CC-1", kinds.ROUNDING, "0.004", ""),
    ]
    lines = [
        (centre, line(**fixed, category=category, cost=Decimal(cost), reason=reason))
        for centre, category, cost, reason in by_hand
    ]
    return content_of(drafts, lines, month, zone)
