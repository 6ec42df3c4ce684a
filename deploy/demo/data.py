"""The demo company's data: made in memory, the same on every start of a day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

SEED = 20_260_101
FIRST_DAY = date(2026, 1, 1)
CUSTOMERS = 2_000
ORDERS = 10_000
TICKETS = 1_500
USAGE_ROWS = 20_000
INTERACTIONS = 3_000

Row = dict[str, Any]

COUNTRIES = {
    "EMEA": ("DE", "FR", "ES", "IT", "NL", "PL", "SE", "GB"),
    "AMER": ("US", "CA"),
    "APAC": ("JP", "AU", "SG", "IN"),
    "LATAM": ("BR", "MX", "CL"),
}
REGIONS = tuple(COUNTRIES)
SEGMENTS = ("enterprise", "mid_market", "small_business")
TIERS = ("bronze", "silver", "gold", "platinum")
ORDER_STATUSES = ("placed", "paid", "shipped", "delivered", "cancelled", "returned")
FEATURES = ("dashboard", "export", "alerts", "api", "automation", "reports")
WAREHOUSES = ("Rotterdam", "Leipzig", "Memphis", "Osaka")
MANAGERS = (
    "Ada Okafor",
    "Ben Lindqvist",
    "Chiara Ricci",
    "Dmitri Novak",
    "Elena Popescu",
    "Farid Haddad",
    "Grace Tan",
)


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words(
    "Northwind Alder Brightwater Copperfield Dunmore Eastgate Fairhaven Granite "
    "Harbour Ironwood Juniper Kestrel Larkspur Meridian Nordlicht Oakline Pinecrest "
    "Quarry Redwood Silverbrook Thornfield Umber Valley Westmark Yarrow Zephyr"
)
_SECOND = _words(
    "Logistics Foods Robotics Textiles Energy Analytics Pharma Motors Paper Optics "
    "Freight Ceramics Media Instruments Marine Studios Packaging Health Retail Labs"
)
_FORMS = ("GmbH", "Ltd", "Inc", "SA", "BV", "AB")
_PEOPLE = _words(
    "Alice Bob Carol David Erin Frank Grace Heidi Ivan Judy Karl Laura Mallory Nina "
    "Oscar Peggy Quentin Ruth Sybil Trent Uma Victor Wendy Xavier Yvonne Zoe"
)
_SURNAMES = _words(
    "Adler Berg Costa Dupont Evans Fischer Garcia Hansen Ito Jensen Kim Lopez Moreau "
    "Nakamura Olsen Petrov Quinn Rossi Schmidt Tanaka Ulrich Vogel Weber Yilmaz"
)
_CATEGORIES = ("sensors", "gateways", "cables", "licences", "services", "spares")
_SUBJECTS = (
    "Device does not connect after update",
    "Invoice shows the wrong VAT number",
    "Export stops at 10,000 rows",
    "Alert arrives twice",
    "Cannot add a second user",
    "API returns 429 in the morning",
    "Delivery is incomplete",
    "Battery drains within a day",
    "Report has last month's figures",
    "Password reset mail does not arrive",
)
_REASONS = ("call", "mail", "visit", "demo", "renewal")


@dataclass(frozen=True, slots=True)
class Company:
    """All tables of the demo company, each keyed by id and in a fixed order."""

    customers: dict[str, Row]
    contacts: dict[str, list[Row]]
    interactions: list[Row]
    products: dict[str, Row]
    orders: dict[str, Row]
    invoices: dict[str, Row]
    tickets: dict[str, Row]
    usage: list[Row]
    stock: dict[tuple[str, str], Row]


def today() -> date:
    """The last day that has data."""
    return datetime.now(UTC).date()


@cache
def company() -> Company:
    """Make the whole company; takes well under a second."""
    last = max(today(), FIRST_DAY)
    customers = _customers(Random(SEED))
    products = _products(Random(SEED + 1))
    orders = _orders(Random(SEED + 2), customers, products, last)
    return Company(
        customers=customers,
        contacts=_contacts(Random(SEED + 3), customers),
        interactions=_interactions(Random(SEED + 4), customers, last),
        products=products,
        orders=orders,
        invoices=_invoices(Random(SEED + 5), orders, last),
        tickets=_tickets(Random(SEED + 6), customers, products, last),
        usage=_usage(Random(SEED + 7), customers, last),
        stock=_stock(Random(SEED + 8), products),
    )


def _customers(rng: Random) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for number in range(1, CUSTOMERS + 1):
        region = rng.choices(REGIONS, (45, 30, 17, 8))[0]
        segment = rng.choices(SEGMENTS, (12, 33, 55))[0]
        first, second = rng.choice(_FIRST), rng.choice(_SECOND)
        key = f"C-{number:05d}"
        found[key] = {
            "id": key,
            "name": f"{first} {second} {rng.choice(_FORMS)}",
            "email": f"office{number}@{first}-{second}.example".lower(),
            "region": region,
            "country": rng.choice(COUNTRIES[region]),
            "segment": segment,
            "tier": rng.choices(TIERS, _TIER_WEIGHTS[segment])[0],
            "account_manager": rng.choice(MANAGERS),
            "since": _day(FIRST_DAY - timedelta(days=rng.randrange(1, 2_200))),
            "active": rng.random() > 0.06,
            "tags": [],
        }
    return found


_TIER_WEIGHTS = {
    "enterprise": (5, 15, 40, 40),
    "mid_market": (20, 40, 30, 10),
    "small_business": (60, 30, 9, 1),
}
_SPEND = {"enterprise": 14, "mid_market": 5, "small_business": 2}


def _contacts(rng: Random, customers: dict[str, Row]) -> dict[str, list[Row]]:
    return {
        key: [
            {
                "name": f"{rng.choice(_PEOPLE)} {rng.choice(_SURNAMES)}",
                "role": rng.choice(("buyer", "finance", "technical", "executive")),
                "email": f"person{n}.{key.lower()}@mail.example",
            }
            for n in range(1, rng.randrange(2, 5))
        ]
        for key in customers
    }


def _interactions(rng: Random, customers: dict[str, Row], last: date) -> list[Row]:
    keys = list(customers)
    rows = [
        {
            "customer_id": rng.choice(keys),
            "on": _day(_spread(rng.random(), last)),
            "kind": rng.choice(_REASONS),
            "summary": f"{rng.choice(_PEOPLE)} asked about {rng.choice(_CATEGORIES)}",
        }
        for _ in range(INTERACTIONS)
    ]
    return sorted(rows, key=lambda row: str(row["on"]))


def _products(rng: Random) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for number in range(1, 61):
        category = _CATEGORIES[number % len(_CATEGORIES)]
        sku = f"{category[:3].upper()}-{number:03d}"
        found[sku] = {
            "sku": sku,
            "name": f"{rng.choice(_FIRST)} {category[:-1]} {number}",
            "category": category,
            "price": round(rng.uniform(9, 900), 2),
        }
    return found


def _orders(
    rng: Random, customers: dict[str, Row], products: dict[str, Row], last: date
) -> dict[str, Row]:
    people = list(customers.values())
    weights = [_SPEND[str(c["segment"])] for c in people]
    buyers = rng.choices(people, weights, k=ORDERS)
    skus = list(products)
    # A business that grows: the square root packs the later months.
    days = sorted(_spread(rng.random() ** 0.7, last) for _ in range(ORDERS))
    found: dict[str, Row] = {}
    for number, (day, buyer) in enumerate(zip(days, buyers, strict=True), 100_001):
        lines = [
            {
                "sku": sku,
                "quantity": rng.randrange(1, 3 + _SPEND[str(buyer["segment"])]),
                "unit_price": products[sku]["price"],
            }
            for sku in rng.sample(skus, rng.randrange(1, 4))
        ]
        key = f"O-{number}"
        found[key] = {
            "id": key,
            "customer_id": buyer["id"],
            "region": buyer["region"],
            "placed_on": _day(day),
            "status": _order_status(rng, (last - day).days),
            "currency": "EUR",
            "total": round(sum(x["quantity"] * x["unit_price"] for x in lines), 2),
            "lines": lines,
        }
    return found


def _order_status(rng: Random, age: int) -> str:
    if rng.random() < 0.05:
        return rng.choice(("cancelled", "returned"))
    if age < 2:
        return rng.choice(("placed", "paid"))
    if age < 8:
        return rng.choice(("paid", "shipped", "delivered"))
    return "delivered"


def _invoices(rng: Random, orders: dict[str, Row], last: date) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for order in orders.values():
        if order["status"] in ("placed", "cancelled"):
            continue
        issued = date.fromisoformat(str(order["placed_on"])) + timedelta(days=1)
        due = issued + timedelta(days=30)
        paid = rng.random() < (0.93 if due < last else 0.4)
        key = f"I-{200_001 + len(found)}"
        found[key] = {
            "id": key,
            "order_id": order["id"],
            "customer_id": order["customer_id"],
            "issued_on": _day(issued),
            "due_on": _day(due),
            "amount": order["total"],
            "currency": "EUR",
            "status": "paid" if paid else ("overdue" if due < last else "open"),
        }
    return found


def _tickets(
    rng: Random, customers: dict[str, Row], products: dict[str, Row], last: date
) -> dict[str, Row]:
    keys, skus = list(customers), list(products)
    days = sorted(_spread(rng.random(), last) for _ in range(TICKETS))
    found: dict[str, Row] = {}
    for number, day in enumerate(days, 30_001):
        old = (last - day).days > 21
        key = f"T-{number}"
        found[key] = {
            "id": key,
            "customer_id": rng.choice(keys),
            "opened_on": _day(day),
            "status": rng.choices(
                ("open", "waiting", "solved"), (4, 4, 92) if old else (50, 20, 30)
            )[0],
            "priority": rng.choices(("low", "normal", "high", "urgent"), (3, 5, 2, 1))[
                0
            ],
            "subject": rng.choice(_SUBJECTS),
            "sku": rng.choice(skus),
            "assignee": rng.choice(MANAGERS),
            "hours_open": rng.randrange(1, 240),
            "comments": [],
        }
    return found


def _usage(rng: Random, customers: dict[str, Row], last: date) -> list[Row]:
    keys = list(customers)
    days = sorted(_spread(rng.random(), last) for _ in range(USAGE_ROWS))
    return [
        {
            "day": _day(day),
            "customer_id": rng.choice(keys),
            "feature": rng.choices(FEATURES, (30, 12, 18, 25, 10, 5))[0],
            "events": rng.randrange(1, 400),
            "seconds": rng.randrange(5, 7_200),
        }
        for day in days
    ]


def _stock(rng: Random, products: dict[str, Row]) -> dict[tuple[str, str], Row]:
    return {
        (sku, place): {
            "sku": sku,
            "warehouse": place,
            "units": rng.randrange(0, 400),
            "reorder_at": rng.randrange(20, 80),
        }
        for sku in products
        for place in WAREHOUSES
    }


def _spread(fraction: float, last: date) -> date:
    return FIRST_DAY + timedelta(days=round(fraction * (last - FIRST_DAY).days))


@cache
def _day(day: date) -> str:
    return day.isoformat()
