"""Ask Tollgate for three rows out of 10,000 orders, with an ordinary MCP client.

    .venv/bin/python docs/examples/orders_join.py --protocol 2025-11-25

The script below runs in the gateway's sandbox: the orders and customers it reads
stay there, and only the three rows it returns come back. Address and key are
taken from TOLLGATE_URL and TOLLGATE_KEY, else from what `make demo` has written.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

TASK = "Which three enterprise customers in EMEA have spent most since January?"
CODE = """\
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
    {"customer": customers[key]["name"], "country": customers[key]["country"],
     "spent": round(total, 2)}
    for key, total in spent.items()
    if customers[key]["region"] == "EMEA" and customers[key]["segment"] == "enterprise"
]
rows.sort(key=lambda row: row["spent"], reverse=True)
print(f"{len(orders)} orders of {len(customers)} customers stayed here")
return rows[:3]
"""


def access() -> tuple[str, str]:
    """The endpoint and a key."""
    url, key = os.environ.get("TOLLGATE_URL"), os.environ.get("TOLLGATE_KEY")
    if url and key:
        return url if url.endswith("/mcp") else f"{url.rstrip('/')}/mcp", key
    written = Path(os.environ.get("TOLLGATE_DATA_DIR", "var")) / "demo.json"
    if not written.exists():
        raise SystemExit(
            f"{written} does not exist. Start `make demo` first, or set TOLLGATE_URL "
            "and TOLLGATE_KEY."
        )
    demo = json.loads(written.read_text())
    return demo["mcp_url"], demo["api_key"]


async def execute(url: str, key: str, protocol: str) -> dict[str, Any]:
    """Run the script and return the envelope."""
    mode = protocol if protocol >= "2026" else "legacy"
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=120) as http:
        transport = streamable_http_client(url, http_client=http)
        async with Client(transport, mode=mode) as client:
            result = await client.call_tool("execute", {"code": CODE, "task": TASK})
    envelope: dict[str, Any] | None = result.structured_content
    if envelope is None:
        raise SystemExit("\n".join(getattr(c, "text", "") for c in result.content))
    return envelope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--protocol", default="2026-07-28", choices=["2026-07-28", "2025-11-25"]
    )
    options = parser.parse_args()
    envelope = asyncio.run(execute(*access(), options.protocol))
    json.dump(envelope, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    if envelope.get("status") != "succeeded":
        sys.exit(1)


if __name__ == "__main__":
    main()
