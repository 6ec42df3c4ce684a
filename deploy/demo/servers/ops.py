"""Demo server `ops`: support tickets, product usage and stock."""

import asyncio
from collections import Counter, defaultdict
from typing import Annotated, Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from typing_extensions import TypedDict

from deploy.demo.data import company, today
from deploy.demo.servers.paging import (
    Cursor,
    Day,
    Ids,
    Limit,
    OptionalDay,
    day,
    find,
    find_many,
    page,
)
from deploy.demo.servers.serve import IDEMPOTENT, READ, WRITE, run

Status = Literal["open", "waiting", "solved"]
Priority = Literal["low", "normal", "high", "urgent"]
Feature = Literal["dashboard", "export", "alerts", "api", "automation", "reports"]
Warehouse = Literal["Rotterdam", "Leipzig", "Memphis", "Osaka"]


class Comment(TypedDict):
    on: str
    author: str
    text: str


class Ticket(TypedDict):
    id: str
    customer_id: str
    opened_on: str
    status: str
    priority: str
    subject: str
    sku: str
    assignee: str
    hours_open: int
    comments: list[Comment]


class TicketPage(TypedDict):
    tickets: list[Ticket]
    next_cursor: str | None


class TicketBatch(TypedDict):
    tickets: list[Ticket]
    missing: list[str]


class Usage(TypedDict):
    day: str
    customer_id: str
    feature: str
    events: int
    seconds: int


class UsagePage(TypedDict):
    rows: list[Usage]
    next_cursor: str | None


class FeatureUse(TypedDict):
    feature: str
    events: int
    customers: int


class CustomerUse(TypedDict):
    customer_id: str
    events: int
    seconds: int


class Stock(TypedDict):
    sku: str
    warehouse: str
    units: int
    reorder_at: int


class Report(TypedDict):
    name: str
    seconds: float
    rows: int


data = company()
server = MCPServer(
    "ops",
    version="0.9.2",
    log_level="ERROR",
    instructions="Support tickets, product usage and stock of the demo company.",
)


@server.tool(annotations=READ)
async def list_tickets(
    status: Status | None = None,
    priority: Priority | None = None,
    since: OptionalDay = None,
    customer_id: str | None = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> TicketPage:
    """List tickets, oldest first, page by page, with filters."""
    first = day(since, "since")
    rows = (
        ticket
        for ticket in data.tickets.values()
        if ticket["opened_on"] >= first
        and (status is None or ticket["status"] == status)
        and (priority is None or ticket["priority"] == priority)
        and (customer_id is None or ticket["customer_id"] == customer_id)
    )
    tickets, following = page(rows, limit, cursor)
    return {"tickets": tickets, "next_cursor": following}


@server.tool(annotations=READ)
async def get_ticket(id: str) -> Ticket:
    """Get one ticket with its comments."""
    return find(data.tickets, id, "ticket")  # type: ignore[return-value]


@server.tool(annotations=READ)
async def get_tickets(ids: Ids) -> TicketBatch:
    """Get up to 1000 tickets by id in one call; unknown ids are in `missing`."""
    tickets, missing = find_many(data.tickets, ids)
    return {"tickets": tickets, "missing": missing}  # type: ignore[typeddict-item]


@server.tool(annotations=READ)
async def search_tickets(
    text: Annotated[str, Field(min_length=2)], limit: Limit = 20
) -> list[Ticket]:
    """Find tickets whose subject holds a text, the newest first."""
    wanted = text.lower()
    newest = reversed(data.tickets.values())
    rows = (ticket for ticket in newest if wanted in ticket["subject"].lower())
    return page(rows, limit, None)[0]


@server.tool(annotations=WRITE)
async def add_ticket_comment(
    ticket_id: str, text: Annotated[str, Field(max_length=2000)], author: str
) -> Ticket:
    """Add a comment to a ticket. Each call adds one more."""
    ticket = find(data.tickets, ticket_id, "ticket")
    comment = {"on": today().isoformat(), "author": author, "text": text}
    ticket["comments"].append(comment)
    return ticket  # type: ignore[return-value]


@server.tool(annotations=IDEMPOTENT)
async def set_ticket_status(ticket_id: str, status: Status) -> Ticket:
    """Set the status of a ticket. Doing it twice changes nothing more."""
    ticket = find(data.tickets, ticket_id, "ticket")
    ticket["status"] = status
    return ticket  # type: ignore[return-value]


@server.tool()
async def assign_ticket(ticket_id: str, assignee: str) -> Ticket:
    """Give a ticket to somebody."""
    ticket = find(data.tickets, ticket_id, "ticket")
    ticket["assignee"] = assignee
    return ticket  # type: ignore[return-value]


@server.tool(annotations=READ)
async def list_usage(
    since: Day,
    until: OptionalDay = None,
    customer_id: str | None = None,
    feature: Feature | None = None,
    limit: Limit = 500,
    cursor: Cursor = None,
) -> UsagePage:
    """The product's usage log, oldest first, page by page."""
    first, last = day(since, "since"), day(until, "until") or "9999"
    rows = (
        row
        for row in data.usage
        if first <= row["day"] <= last
        and (customer_id is None or row["customer_id"] == customer_id)
        and (feature is None or row["feature"] == feature)
    )
    found, following = page(rows, limit, cursor)
    return {"rows": found, "next_cursor": following}


@server.tool(annotations=READ)
async def usage_by_feature(since: Day, until: OptionalDay = None) -> list[FeatureUse]:
    """Events and customers of each feature in a period."""
    first, last = day(since, "since"), day(until, "until") or "9999"
    events: Counter[str] = Counter()
    people: defaultdict[str, set[str]] = defaultdict(set)
    for row in data.usage:
        if first <= row["day"] <= last:
            events[row["feature"]] += row["events"]
            people[row["feature"]].add(row["customer_id"])
    return [
        {"feature": feature, "events": number, "customers": len(people[feature])}
        for feature, number in events.most_common()
    ]


@server.tool(annotations=READ)
async def usage_by_customer(since: Day, limit: Limit = 50) -> list[CustomerUse]:
    """The customers that used the product most since a day."""
    first = day(since, "since")
    events: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for row in data.usage:
        if row["day"] >= first:
            events[row["customer_id"]] += row["events"]
            seconds[row["customer_id"]] += row["seconds"]
    return [
        {"customer_id": key, "events": number, "seconds": seconds[key]}
        for key, number in events.most_common(limit)
    ]


@server.tool(annotations=READ)
async def list_stock(
    warehouse: Warehouse | None = None, only_low: bool = False
) -> list[Stock]:
    """Units in each warehouse; `only_low` keeps what must be ordered again."""
    return [
        row  # type: ignore[misc]
        for row in data.stock.values()
        if (warehouse is None or row["warehouse"] == warehouse)
        and (not only_low or row["units"] <= row["reorder_at"])
    ]


@server.tool(annotations=READ)
async def get_stock(sku: str) -> list[Stock]:
    """Units of one product in all warehouses."""
    found = [row for (key, _), row in data.stock.items() if key == sku]
    if not found:
        raise ToolError(f"There is no product {sku!r}.")
    return found  # type: ignore[return-value]


@server.tool(annotations=WRITE)
async def adjust_stock(
    sku: str, warehouse: Warehouse, change: int, reason: str
) -> Stock:
    """Add units to a warehouse or take them away. Each call counts."""
    row = data.stock.get((sku, warehouse))
    if row is None:
        raise ToolError(f"There is no product {sku!r}.")
    if row["units"] + change < 0:
        raise ToolError(f"Only {row['units']} units of {sku} are in {warehouse}.")
    row["units"] += change
    return row  # type: ignore[return-value]


@server.tool(annotations=READ)
async def run_report(
    name: Literal["usage", "tickets", "stock"],
    seconds: Annotated[float, Field(ge=0, le=120, description="How long it takes")] = 2,
) -> Report:
    """Run a slow report; useful to see time limits at work."""
    await asyncio.sleep(seconds)
    rows = {"usage": data.usage, "tickets": data.tickets, "stock": data.stock}[name]
    return {"name": name, "seconds": seconds, "rows": len(rows)}


@server.tool(structured_output=False)
async def service_status() -> str:
    """The state of our services, one line each, as plain text."""
    waiting = sum(1 for t in data.tickets.values() if t["status"] == "open")
    return f"ingest: ok\nalerts: ok\nexports: degraded\nsupport: {waiting} open tickets"


if __name__ == "__main__":
    run(server)
