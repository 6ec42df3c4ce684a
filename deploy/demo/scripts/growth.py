"""What the agent of team Growth does."""

from deploy.demo.scripts.script import DemoScript

UPGRADE_CANDIDATES = """\
from collections import defaultdict
from tools import crm, shop

gold, cursor = {}, None
while True:
    page = crm.list_customers(tier="gold", active=True, limit=1000, cursor=cursor)
    gold.update((c["id"], c) for c in page["customers"])
    cursor = page["next_cursor"]
    if cursor is None:
        break

totals, counts, cursor = defaultdict(float), defaultdict(int), None
while True:
    page = shop.list_orders(
        since="2026-07-01", min_total=1000, limit=1000, cursor=cursor
    )
    for order in page["orders"]:
        if order["customer_id"] in gold:
            totals[order["customer_id"]] += order["total"]
            counts[order["customer_id"]] += 1
    cursor = page["next_cursor"]
    if cursor is None:
        break

best = sorted(totals, key=totals.get, reverse=True)[:5]
return [
    {"id": key, "name": gold[key]["name"], "orders": counts[key],
     "spent": round(totals[key], 2)}
    for key in best
]
"""

DORMANT = """\
import asyncio
from tools import crm, shop

async def pages(tool, field, **filters):
    rows, cursor = [], None
    while True:
        page = await tool(limit=1000, cursor=cursor, **filters)
        rows += page[field]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows

customers, orders = await asyncio.gather(
    pages(crm.list_customers, "customers", segment="enterprise", active=True),
    pages(shop.list_orders, "orders", since="2026-08-01"),
)
buying = {order["customer_id"] for order in orders}
dormant = [c for c in customers if c["id"] not in buying]
return {
    "enterprise_customers": len(customers),
    "dormant": len(dormant),
    "first_to_call": [c["name"] for c in dormant if c["tier"] == "platinum"][:3],
}
"""

QUOTES = """\
from tools import ToolError, shop

def quote(order_id):
    for attempt in range(4):
        try:
            return shop.shipping_quote(order_id=order_id)
        except ToolError as error:
            print(f"{order_id}, attempt {attempt + 1}: {error}")
    return None

orders = shop.list_orders(status="paid", limit=6)["orders"]
quotes = [quote(order["id"]) for order in orders]
found = [q for q in quotes if q is not None]
total = sum(q["price"] for q in found)
return {"asked": len(orders), "quoted": len(found), "sum": round(total, 2)}
"""

UPGRADE = """\
from tools import crm

silver = crm.list_customers(tier="silver", segment="enterprise", limit=2)["customers"]
changed = [crm.set_customer_tier(customer_id=c["id"], tier="gold") for c in silver]
return [{"name": c["name"], "tier": c["tier"]} for c in changed]
"""

REFUND = """\
from tools import shop

order = shop.list_orders(status="returned", min_total=50, limit=1)["orders"][0]
refund = shop.create_refund(order_id=order["id"], amount=1.50, reason="Late delivery")
return {"refund": refund["id"], "order": order["id"], "amount": refund["amount"]}
"""

LARGE_WRONG = """\
from tools import shop

page = shop.list_orders(since="2026-11-01", min_total="high", limit=1000)
return len(page["orders"])
"""

LARGE_RIGHT = """\
from collections import Counter
from tools import shop

categories = {p["sku"]: p["category"] for p in shop.list_products()}
mix, cursor = Counter(), None
while True:
    page = shop.list_orders(
        since="2026-11-01", min_total=5000, limit=1000, cursor=cursor
    )
    for order in page["orders"]:
        for line in order["lines"]:
            mix[categories[line["sku"]]] += line["quantity"]
    cursor = page["next_cursor"]
    if cursor is None:
        break
return dict(mix.most_common())
"""

GROWTH = (
    DemoScript(
        "upgrade-candidates",
        "growth",
        "Which gold customers have earned an upgrade since July?",
        (UPGRADE_CANDIDATES,),
    ),
    DemoScript(
        "dormant-enterprise",
        "growth",
        "Which enterprise customers have not ordered since August?",
        (DORMANT,),
    ),
    DemoScript(
        "shipping-quotes",
        "growth",
        "Get shipping quotes for the six oldest paid orders.",
        (QUOTES,),
    ),
    DemoScript(
        "raise-tier",
        "growth",
        "Raise the first two silver enterprise customers to gold.",
        (UPGRADE,),
    ),
    DemoScript(
        "late-refund",
        "growth",
        "Refund 1.50 for the oldest returned order that was late.",
        (REFUND,),
    ),
    DemoScript(
        "large-order-mix",
        "growth",
        "What do large orders of this month consist of?",
        (LARGE_WRONG, LARGE_RIGHT),
    ),
)
