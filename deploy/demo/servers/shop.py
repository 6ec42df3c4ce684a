"""Demo server `shop`: orders, invoices, products and refunds."""

from collections import defaultdict
from typing import Annotated, Any, Literal

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
from deploy.demo.servers.serve import DESTRUCTIVE, IDEMPOTENT, READ, WRITE, run

OrderStatus = Literal["placed", "paid", "shipped", "delivered", "cancelled", "returned"]
InvoiceStatus = Literal["open", "paid", "overdue"]
Region = Literal["EMEA", "AMER", "APAC", "LATAM"]
Category = Literal["sensors", "gateways", "cables", "licences", "services", "spares"]
FLAKY_EVERY = 3


class Line(TypedDict):
    sku: str
    quantity: int
    unit_price: float


class Order(TypedDict):
    id: str
    customer_id: str
    region: str
    placed_on: str
    status: str
    currency: str
    total: float
    lines: list[Line]


class OrderPage(TypedDict):
    orders: list[Order]
    next_cursor: str | None


class OrderBatch(TypedDict):
    orders: list[Order]
    missing: list[str]


class Invoice(TypedDict):
    id: str
    order_id: str
    customer_id: str
    issued_on: str
    due_on: str
    amount: float
    currency: str
    status: str


class InvoicePage(TypedDict):
    invoices: list[Invoice]
    next_cursor: str | None


class Product(TypedDict):
    sku: str
    name: str
    category: str
    price: float


class Refund(TypedDict):
    id: str
    order_id: str
    amount: float
    reason: str
    created_on: str


class DaySales(TypedDict):
    day: str
    orders: int
    total: float


class Quote(TypedDict):
    order_id: str
    carrier: str
    price: float
    days: int


data = company()
refunds: dict[str, dict[str, Any]] = {}
attempts: defaultdict[str, int] = defaultdict(int)
server = MCPServer(
    "shop",
    version="1.4.0",
    log_level="ERROR",
    instructions="Orders, invoices, products and refunds of the demo company.",
)


@server.tool(annotations=READ)
async def list_orders(
    since: OptionalDay = None,
    until: OptionalDay = None,
    status: OrderStatus | None = None,
    region: Region | None = None,
    customer_id: str | None = None,
    min_total: float | None = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> OrderPage:
    """List orders, oldest first, page by page.

    `since` and `until` include their day. Follow `next_cursor` until it is null.
    """
    first, last = day(since, "since"), day(until, "until") or "9999"
    rows = (
        order
        for order in data.orders.values()
        if first <= order["placed_on"] <= last
        and (status is None or order["status"] == status)
        and (region is None or order["region"] == region)
        and (customer_id is None or order["customer_id"] == customer_id)
        and (min_total is None or order["total"] >= min_total)
    )
    orders, following = page(rows, limit, cursor)
    return {"orders": orders, "next_cursor": following}


@server.tool(annotations=READ)
async def get_order(id: str) -> Order:
    """Get one order with its lines."""
    return find(data.orders, id, "order")  # type: ignore[return-value]


@server.tool(annotations=READ)
async def get_orders(ids: Ids) -> OrderBatch:
    """Get up to 1000 orders by id in one call; unknown ids are in `missing`."""
    orders, missing = find_many(data.orders, ids)
    return {"orders": orders, "missing": missing}  # type: ignore[typeddict-item]


@server.tool(annotations=READ)
async def list_invoices(
    status: InvoiceStatus | None = None,
    since: OptionalDay = None,
    due_before: OptionalDay = None,
    customer_id: str | None = None,
    limit: Limit = 200,
    cursor: Cursor = None,
) -> InvoicePage:
    """List invoices by day of issue, page by page, with filters."""
    first, due = day(since, "since"), day(due_before, "due_before") or "9999"
    rows = (
        invoice
        for invoice in data.invoices.values()
        if invoice["issued_on"] >= first
        and invoice["due_on"] < due
        and (status is None or invoice["status"] == status)
        and (customer_id is None or invoice["customer_id"] == customer_id)
    )
    invoices, following = page(rows, limit, cursor)
    return {"invoices": invoices, "next_cursor": following}


@server.tool(annotations=READ)
async def get_invoice(id: str) -> Invoice:
    """Get one invoice."""
    return find(data.invoices, id, "invoice")  # type: ignore[return-value]


@server.tool(annotations=IDEMPOTENT)
async def mark_invoice_paid(id: str) -> Invoice:
    """Mark an invoice as paid. Doing it twice changes nothing more."""
    invoice = find(data.invoices, id, "invoice")
    invoice["status"] = "paid"
    return invoice  # type: ignore[return-value]


@server.tool(annotations=READ)
async def list_products(category: Category | None = None) -> list[Product]:
    """List all products, or those of one category."""
    return [
        product  # type: ignore[misc]
        for product in data.products.values()
        if category is None or product["category"] == category
    ]


@server.tool(annotations=READ)
async def get_product(sku: str) -> Product:
    """Get one product by its SKU."""
    return find(data.products, sku, "product")  # type: ignore[return-value]


@server.tool(annotations=READ)
async def shipping_quote(order_id: str) -> Quote:
    """Ask the carrier for a price. The carrier is often busy: then try again."""
    order = find(data.orders, order_id, "order")
    attempts["shipping_quote"] += 1
    if attempts["shipping_quote"] % FLAKY_EVERY == 0:
        raise ToolError("The carrier is busy (503). This is temporary: try again.")
    pieces = sum(line["quantity"] for line in order["lines"])
    price = round(6.5 + 1.25 * pieces, 2)
    days = 2 if order["region"] == "EMEA" else 6
    return {"order_id": order_id, "carrier": "Blue Van", "price": price, "days": days}


@server.tool(annotations=READ)
async def sales_by_day(
    since: Day, until: OptionalDay = None, region: Region | None = None
) -> list[DaySales]:
    """Number and value of orders per day, cancelled orders left out."""
    first, last = day(since, "since"), day(until, "until") or "9999"
    totals: dict[str, DaySales] = {}
    for order in data.orders.values():
        placed = order["placed_on"]
        if not first <= placed <= last or order["status"] == "cancelled":
            continue
        if region is not None and order["region"] != region:
            continue
        row = totals.setdefault(placed, {"day": placed, "orders": 0, "total": 0.0})
        row["orders"] += 1
        row["total"] = round(row["total"] + order["total"], 2)
    return list(totals.values())


@server.tool(annotations=READ)
async def export_orders(
    month: Annotated[str, Field(pattern=r"^\d{4}-\d{2}$", description="YYYY-MM")],
) -> list[Order]:
    """All orders of a month in one large answer, with every line."""
    return [
        order  # type: ignore[misc]
        for order in data.orders.values()
        if order["placed_on"].startswith(month)
    ]


@server.tool(annotations=READ)
async def list_refunds(since: OptionalDay = None) -> list[Refund]:
    """List refunds made since a day."""
    first = day(since, "since")
    return [r for r in refunds.values() if r["created_on"] >= first]  # type: ignore[misc]


@server.tool(annotations=WRITE)
async def create_refund(
    order_id: str,
    amount: Annotated[float, Field(gt=0, description="In the order's currency")],
    reason: str,
) -> Refund:
    """Pay money back for an order. Each call makes one more refund."""
    order = find(data.orders, order_id, "order")
    earlier = sum(r["amount"] for r in refunds.values() if r["order_id"] == order_id)
    if round(earlier + amount, 2) > order["total"]:
        left = round(order["total"] - earlier, 2)
        raise ToolError(f"Only {left} of order {order_id} can still be refunded.")
    key = f"R-{50_001 + len(refunds)}"
    refunds[key] = {
        "id": key,
        "order_id": order_id,
        "amount": round(amount, 2),
        "reason": reason,
        "created_on": today().isoformat(),
    }
    return refunds[key]  # type: ignore[return-value]


@server.tool(annotations=DESTRUCTIVE)
async def cancel_order(order_id: str, reason: str) -> Order:
    """Cancel an order that has not been shipped. This cannot be undone."""
    order = find(data.orders, order_id, "order")
    if order["status"] not in ("placed", "paid"):
        raise ToolError(f"Order {order_id} is {order['status']}: too late to cancel.")
    order["status"] = "cancelled"
    return order  # type: ignore[return-value]


@server.tool()
async def apply_discount(
    order_id: str, percent: Annotated[float, Field(gt=0, le=30)]
) -> Order:
    """Take a percentage off the total of an order that is not paid yet."""
    order = find(data.orders, order_id, "order")
    if order["status"] != "placed":
        raise ToolError(f"Order {order_id} is {order['status']}, no longer open.")
    order["total"] = round(order["total"] * (1 - percent / 100), 2)
    return order  # type: ignore[return-value]


@server.tool(structured_output=False)
async def return_policy(region: Region) -> str:
    """The return policy of a region, as text for people."""
    days = {"EMEA": 30, "AMER": 45, "APAC": 21, "LATAM": 14}[region]
    return (
        f"Goods bought in {region} may be returned within {days} days of delivery.\n"
        "Licences and services are excluded. The customer pays the way back."
    )


if __name__ == "__main__":
    run(server)
