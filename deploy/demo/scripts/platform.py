"""What the assistant of team Platform does."""

from deploy.demo.scripts.script import DemoScript

ORDERS_JOIN = """\
from tools import shop, crm

orders, cursor = [], None
while True:
    page = shop.list_orders(since="2026-01-01", limit=1000, cursor=cursor)
    orders += page["orders"]
    cursor = page["next_cursor"]
    if cursor is None:
        break

spent = {}
for order in orders:
    if order["status"] not in ("cancelled", "returned"):
        key = order["customer_id"]
        spent[key] = spent.get(key, 0) + order["total"]

ids, customers = sorted(spent), {}
for start in range(0, len(ids), 1000):
    batch = crm.get_customers(ids=ids[start:start + 1000])
    customers.update((c["id"], c) for c in batch["customers"])

rows = [
    {"customer": customers[key]["name"], "tier": customers[key]["tier"],
     "spent": round(total, 2)}
    for key, total in spent.items()
    if customers[key]["region"] == "EMEA" and customers[key]["segment"] == "enterprise"
]
rows.sort(key=lambda row: row["spent"], reverse=True)
print(f"{len(orders)} orders of {len(customers)} customers read")
return rows[:3]
"""

REVENUE_BY_REGION = """\
import asyncio
from tools import shop

regions = ["EMEA", "AMER", "APAC", "LATAM"]
answers = await asyncio.gather(
    *(shop.sales_by_day(since="2026-10-01", region=region) for region in regions)
)
return {
    region: {
        "orders": sum(day["orders"] for day in days),
        "revenue": round(sum(day["total"] for day in days), 2),
        "best_day": max(days, key=lambda day: day["total"])["day"] if days else None,
    }
    for region, days in zip(regions, answers)
}
"""

LOW_STOCK = """\
from collections import Counter
from tools import ops, shop

sold = Counter()
for order in shop.export_orders(month="2026-10"):
    for line in order["lines"]:
        sold[line["sku"]] += line["quantity"]

low = ops.list_stock(only_low=True)
names = {product["sku"]: product["name"] for product in shop.list_products()}
rows = [
    {"sku": row["sku"], "name": names[row["sku"]], "warehouse": row["warehouse"],
     "units": row["units"], "sold_last_month": sold[row["sku"]]}
    for row in low
    if sold[row["sku"]] > row["units"]
]
rows.sort(key=lambda row: row["units"] - row["sold_last_month"])
return rows[:5]
"""

OVERDUE = """\
from tools import crm, shop

owed, cursor = {}, None
while True:
    page = shop.list_invoices(status="overdue", limit=500, cursor=cursor)
    for invoice in page["invoices"]:
        key = invoice["customer_id"]
        owed[key] = owed.get(key, 0) + invoice["amount"]
    cursor = page["next_cursor"]
    if not cursor:
        break

by_manager = {}
for customer in crm.get_customers(ids=sorted(owed)[:1000])["customers"]:
    manager = customer["account_manager"]
    row = by_manager.setdefault(manager, {"customers": 0, "owed": 0})
    row["customers"] += 1
    row["owed"] = round(row["owed"] + owed[customer["id"]], 2)
return dict(sorted(by_manager.items(), key=lambda item: -item[1]["owed"]))
"""

INACTIVE_BUYERS = """\
import asyncio
from tools import crm, shop

async def inactive():
    found, cursor = {}, None
    while True:
        page = await crm.list_customers(active=False, limit=1000, cursor=cursor)
        found.update((c["id"], c["name"]) for c in page["customers"])
        cursor = page["next_cursor"]
        if cursor is None:
            return found

async def recent():
    found, cursor = [], None
    while True:
        page = await shop.list_orders(since="2026-11-01", limit=1000, cursor=cursor)
        found += page["orders"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found

names, orders = await asyncio.gather(inactive(), recent())
odd = [order for order in orders if order["customer_id"] in names]
people = sorted({names[order["customer_id"]] for order in odd})
return {"orders": len(odd), "customers": people[:5]}
"""

MONTH_WRONG = """\
from tools import shop

page = shop.list_orders(from_date="2026-10-01", to_date="2026-10-31", limit=1000)
return len(page["orders"])
"""

MONTH_RIGHT = """\
from tools import shop

count, value, cursor = 0, 0.0, None
while True:
    page = shop.list_orders(
        since="2026-10-01", until="2026-10-31", limit=1000, cursor=cursor
    )
    count += len(page["orders"])
    value += sum(order["total"] for order in page["orders"])
    cursor = page["next_cursor"]
    if cursor is None:
        break
return {"orders": count, "value": round(value, 2)}
"""

PLATFORM = (
    DemoScript(
        "orders-join",
        "platform",
        "Which three enterprise customers in EMEA have spent most this year?",
        (ORDERS_JOIN,),
    ),
    DemoScript(
        "revenue-by-region",
        "platform",
        "Compare the revenue of our four regions since October.",
        (REVENUE_BY_REGION,),
    ),
    DemoScript(
        "low-stock",
        "platform",
        "Which products sell faster than a warehouse can deliver?",
        (LOW_STOCK,),
    ),
    DemoScript(
        "overdue-by-manager",
        "platform",
        "How much overdue money does each account manager have to chase?",
        (OVERDUE,),
    ),
    DemoScript(
        "inactive-buyers",
        "platform",
        "Do customers marked as inactive still order?",
        (INACTIVE_BUYERS,),
    ),
    DemoScript(
        "october-orders",
        "platform",
        "How many orders did we have in October, and of what value?",
        (MONTH_WRONG, MONTH_RIGHT),
    ),
)
