"""What the agent of team Support does."""

from deploy.demo.scripts.script import DemoScript

URGENT = """\
from tools import crm, ops

tickets = ops.list_tickets(status="open", priority="urgent", limit=1000)["tickets"]
ids = sorted({ticket["customer_id"] for ticket in tickets})
people = {c["id"]: c for c in crm.get_customers(ids=ids)["customers"]} if ids else {}
order = {"platinum": 0, "gold": 1, "silver": 2, "bronze": 3}
tickets.sort(key=lambda t: (order[people[t["customer_id"]]["tier"]], -t["hours_open"]))
return [
    {"ticket": t["id"], "subject": t["subject"], "hours": t["hours_open"],
     "customer": people[t["customer_id"]]["name"],
     "tier": people[t["customer_id"]]["tier"]}
    for t in tickets[:5]
]
"""

ADOPTION = """\
import asyncio
from tools import ops

before, after = await asyncio.gather(
    ops.usage_by_feature(since="2026-08-01", until="2026-09-15"),
    ops.usage_by_feature(since="2026-09-16", until="2026-10-31"),
)
old = {row["feature"]: row["events"] for row in before}
return [
    {"feature": row["feature"], "events": row["events"],
     "change_percent": round(100 * (row["events"] / old[row["feature"]] - 1), 1)}
    for row in after
    if old.get(row["feature"])
]
"""

NOISY = """\
from collections import Counter
from tools import crm, ops

tickets, cursor = [], None
while True:
    page = ops.list_tickets(since="2026-06-01", limit=1000, cursor=cursor)
    tickets += page["tickets"]
    cursor = page["next_cursor"]
    if cursor is None:
        break

events, cursor = Counter(), None
while True:
    page = ops.list_usage(since="2026-06-01", limit=1000, cursor=cursor)
    for row in page["rows"]:
        events[row["customer_id"]] += row["events"]
    cursor = page["next_cursor"]
    if cursor is None:
        break

counts = Counter(ticket["customer_id"] for ticket in tickets)
top = [key for key, _ in counts.most_common(3)]
names = {c["id"]: c["name"] for c in crm.get_customers(ids=top)["customers"]}
print(f"{len(tickets)} tickets against {sum(events.values())} events")
return [
    {"customer": names[key], "tickets": counts[key], "events": events[key]}
    for key in top
]
"""

COMMENT = """\
from tools import ops

waiting = ops.list_tickets(status="waiting", limit=1000)["tickets"]
oldest = max(waiting, key=lambda ticket: ticket["hours_open"])
changed = ops.add_ticket_comment(
    ticket_id=oldest["id"],
    author="triage-agent",
    text=f"Still waiting after {oldest['hours_open']} hours; asked the customer again.",
)
return {"ticket": changed["id"], "comments": len(changed["comments"])}
"""

SUMMARY = """\
from collections import Counter
from tools import crm, ops

tickets = ops.list_tickets(status="open", limit=1000)["tickets"]
[(customer_id, number)] = Counter(t["customer_id"] for t in tickets).most_common(1)
text = crm.customer_summary(customer_id=customer_id)
return f"{number} open tickets. {text.splitlines()[0]}"
"""

CONTACTS_WRONG = """\
import asyncio
from tools import crm, ops

tickets = ops.search_tickets(text="battery", limit=10)
ids = sorted({ticket["customer_id"] for ticket in tickets})
contacts = await asyncio.gather(*(crm.list_contacts(customer_id=key) for key in ids))
return [people[0]["email"] for people in contacts]
"""

CONTACTS_RIGHT = """\
import asyncio
from tools import crm, ops

tickets = await ops.search_tickets(text="battery", limit=10)
ids = sorted({ticket["customer_id"] for ticket in tickets})
contacts = await asyncio.gather(*(crm.list_contacts(customer_id=key) for key in ids))
technical = [p for people in contacts for p in people if p["role"] == "technical"]
return {"customers": len(ids), "technical_contacts": [p["email"] for p in technical]}
"""

REPORT = """\
import asyncio
from tools import ops

async def report(name):
    return await ops.run_report(name=name, seconds=0.4)

names = ("usage", "tickets", "stock")
reports = await asyncio.gather(*(report(name) for name in names))
status = await ops.service_status()
return {row["name"]: row["rows"] for row in reports} | {"status": status}
"""

SUPPORT = (
    DemoScript(
        "urgent-by-tier",
        "support",
        "Which urgent tickets should we answer first?",
        (URGENT,),
    ),
    DemoScript(
        "feature-adoption",
        "support",
        "How has the use of our features changed since mid September?",
        (ADOPTION,),
    ),
    DemoScript(
        "noisy-customers",
        "support",
        "Who writes most tickets, and how much do they use the product?",
        (NOISY,),
    ),
    DemoScript(
        "remind-oldest",
        "support",
        "Comment on the ticket that has waited longest.",
        (COMMENT,),
    ),
    DemoScript(
        "busiest-customer",
        "support",
        "Sum up the customer with most open tickets.",
        (SUMMARY,),
    ),
    DemoScript(
        "battery-contacts",
        "support",
        "Who are the technical contacts of customers with battery problems?",
        (CONTACTS_WRONG, CONTACTS_RIGHT),
    ),
    DemoScript(
        "daily-report",
        "support",
        "Run the daily reports and add the state of our services.",
        (REPORT,),
    ),
)
