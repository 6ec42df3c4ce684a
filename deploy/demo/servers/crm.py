"""Demo server `crm`: customers, contacts and interactions."""

from collections import Counter
from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from typing_extensions import TypedDict

from deploy.demo.data import company, today
from deploy.demo.servers.paging import (
    Cursor,
    Ids,
    Limit,
    OptionalDay,
    day,
    find,
    find_many,
    page,
)
from deploy.demo.servers.serve import DESTRUCTIVE, IDEMPOTENT, READ, WRITE, run

Region = Literal["EMEA", "AMER", "APAC", "LATAM"]
Segment = Literal["enterprise", "mid_market", "small_business"]
Tier = Literal["bronze", "silver", "gold", "platinum"]


class Customer(TypedDict):
    id: str
    name: str
    email: str
    region: str
    country: str
    segment: str
    tier: str
    account_manager: str
    since: str
    active: bool
    tags: list[str]


class CustomerPage(TypedDict):
    customers: list[Customer]
    next_cursor: str | None


class CustomerBatch(TypedDict):
    customers: list[Customer]
    missing: list[str]


class Contact(TypedDict):
    name: str
    role: str
    email: str


class Interaction(TypedDict):
    customer_id: str
    on: str
    kind: str
    summary: str


class InteractionPage(TypedDict):
    interactions: list[Interaction]
    next_cursor: str | None


class SegmentCount(TypedDict):
    segment: str
    region: str
    customers: int


data = company()
server = MCPServer(
    "crm",
    version="2.1.0",
    log_level="ERROR",
    instructions="Customers, their contacts and what was said to them.",
)


@server.tool(annotations=READ)
async def list_customers(
    region: Region | None = None,
    segment: Segment | None = None,
    tier: Tier | None = None,
    active: bool | None = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> CustomerPage:
    """List customers by id, page by page, with filters."""
    rows = (
        customer
        for customer in data.customers.values()
        if (region is None or customer["region"] == region)
        and (segment is None or customer["segment"] == segment)
        and (tier is None or customer["tier"] == tier)
        and (active is None or customer["active"] is active)
    )
    customers, following = page(rows, limit, cursor)
    return {"customers": customers, "next_cursor": following}


@server.tool(annotations=READ)
async def get_customer(id: str) -> Customer:
    """Get one customer."""
    return find(data.customers, id, "customer")  # type: ignore[return-value]


@server.tool(annotations=READ)
async def get_customers(ids: Ids) -> CustomerBatch:
    """Get up to 1000 customers by id in one call; unknown ids are in `missing`."""
    customers, missing = find_many(data.customers, ids)
    return {"customers": customers, "missing": missing}  # type: ignore[typeddict-item]


@server.tool(annotations=READ)
async def search_customers(
    text: Annotated[str, Field(min_length=2, description="Part of name or e-mail")],
    limit: Limit = 20,
) -> list[Customer]:
    """Find customers whose name or e-mail holds a text, whatever its case."""
    wanted = text.lower()
    rows = (
        customer
        for customer in data.customers.values()
        if wanted in customer["name"].lower() or wanted in customer["email"]
    )
    return page(rows, limit, None)[0]


@server.tool(annotations=READ)
async def list_contacts(customer_id: str) -> list[Contact]:
    """The people to talk to at a customer."""
    find(data.customers, customer_id, "customer")
    return data.contacts[customer_id]  # type: ignore[return-value]


@server.tool(annotations=READ)
async def count_segments() -> list[SegmentCount]:
    """How many active customers each segment has in each region."""
    counts = Counter(
        (c["segment"], c["region"]) for c in data.customers.values() if c["active"]
    )
    return [
        {"segment": segment, "region": region, "customers": number}
        for (segment, region), number in sorted(counts.items())
    ]


@server.tool(annotations=READ)
async def list_interactions(
    customer_id: str | None = None,
    since: OptionalDay = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> InteractionPage:
    """List calls, mails and visits, oldest first, page by page."""
    first = day(since, "since")
    rows = (
        row
        for row in data.interactions
        if row["on"] >= first
        and (customer_id is None or row["customer_id"] == customer_id)
    )
    interactions, following = page(rows, limit, cursor)
    return {"interactions": interactions, "next_cursor": following}


@server.tool(annotations=WRITE)
async def log_interaction(
    customer_id: str,
    kind: Literal["call", "mail", "visit", "demo", "renewal"],
    summary: Annotated[str, Field(max_length=500)],
) -> Interaction:
    """Note what was said to a customer. Each call makes one more note."""
    find(data.customers, customer_id, "customer")
    row: Interaction = {
        "customer_id": customer_id,
        "on": today().isoformat(),
        "kind": kind,
        "summary": summary,
    }
    data.interactions.append(dict(row))
    return row


@server.tool(annotations=IDEMPOTENT)
async def set_customer_tier(customer_id: str, tier: Tier) -> Customer:
    """Set a customer's tier. Doing it twice changes nothing more."""
    customer = find(data.customers, customer_id, "customer")
    customer["tier"] = tier
    return customer  # type: ignore[return-value]


@server.tool(annotations=IDEMPOTENT)
async def set_account_manager(customer_id: str, name: str) -> Customer:
    """Give a customer another account manager."""
    customer = find(data.customers, customer_id, "customer")
    customer["account_manager"] = name
    return customer  # type: ignore[return-value]


@server.tool()
async def add_customer_tag(
    customer_id: str, tag: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
) -> Customer:
    """Add a tag to a customer."""
    customer = find(data.customers, customer_id, "customer")
    if tag not in customer["tags"]:
        customer["tags"].append(tag)
    return customer  # type: ignore[return-value]


@server.tool(annotations=DESTRUCTIVE)
async def merge_customers(keep_id: str, drop_id: str) -> Customer:
    """Merge two customers into one; the second one is gone for good."""
    keep = find(data.customers, keep_id, "customer")
    find(data.customers, drop_id, "customer")
    if keep_id == drop_id:
        raise ToolError("A customer cannot be merged with itself.")
    del data.customers[drop_id]
    data.contacts[keep_id].extend(data.contacts.pop(drop_id))
    return keep  # type: ignore[return-value]


@server.tool(annotations=READ, structured_output=False)
async def customer_summary(customer_id: str) -> str:
    """A short text about a customer, to be read by people."""
    c = find(data.customers, customer_id, "customer")
    state = "active" if c["active"] else "no longer active"
    return (
        f"{c['name']} ({c['id']}) is a {c['tier']} customer in {c['country']}, "
        f"{state}, with us since {c['since']}.\n"
        f"Segment: {c['segment'].replace('_', ' ')}. "
        f"Account manager: {c['account_manager']}."
    )


if __name__ == "__main__":
    run(server)
