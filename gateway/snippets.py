"""Scripts to start from, shown in the playground; they suit the demo's ``crm``."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snippet:
    """A script in both languages, with a name that says what it shows."""

    title: str
    code: str
    typescript: str

    def script(self, language: str) -> str:
        """The script in this language."""
        return self.typescript if language == "typescript" else self.code


SNIPPETS: Mapping[str, Snippet] = {
    "join": Snippet(
        "Keep rows in the sandbox",
        """from tools import crm

# Only what is returned goes back to the agent; the page of 200 stays here.
page = crm.list_customers(limit=200, active=True)
print(len(page["customers"]), "customers read")
return [customer["name"] for customer in page["customers"][:3]]
""",
        """// Only what is returned goes back to the agent; the page of 200 stays here.
const page = await tools.crm.listCustomers({ limit: 200, active: true });
console.log(page.customers.length, "customers read");
return page.customers.slice(0, 3).map((customer: { name: string }) => customer.name);
""",
    ),
    "page": Snippet(
        "Collect all pages",
        """from tools import crm

rows, cursor = [], None
while True:
    page = crm.list_customers(cursor=cursor, limit=1000)
    rows += page["customers"]
    cursor = page["next_cursor"]
    if not cursor:
        break
return {"rows": len(rows)}
""",
        """const rows: unknown[] = [];
let cursor: string | null = null;
do {
  const page = await tools.crm.listCustomers({ cursor, limit: 1000 });
  rows.push(...page.customers);
  cursor = page.next_cursor;
} while (cursor);
return { rows: rows.length };
""",
    ),
    "parallel": Snippet(
        "Call in parallel",
        """import asyncio
from tools import crm

page = await crm.list_customers(limit=5)
ids = [customer["id"] for customer in page["customers"]]
found = await asyncio.gather(*(crm.get_customer(id=one) for one in ids))
return [customer["name"] for customer in found]
""",
        """type Customer = { id: string; name: string };
const page = await tools.crm.listCustomers({ limit: 5 });
const found: Customer[] = await Promise.all(
  page.customers.map(({ id }: Customer) => tools.crm.getCustomer({ id })),
);
return found.map((customer) => customer.name);
""",
    ),
    "errors": Snippet(
        "Handle an error",
        """from tools import ToolError, crm

try:
    return crm.get_customer(id="nobody")
except ToolError as error:
    return {"code": error.code, "message": str(error)}
""",
        """try {
  return await tools.crm.getCustomer({ id: "nobody" });
} catch (error) {
  if (!(error instanceof ToolError)) throw error;
  return { code: error.code, message: error.message };
}
""",
    ),
}
