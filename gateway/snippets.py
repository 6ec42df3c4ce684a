"""Scripts to start from, shown in the playground."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snippet:
    """A script with a name that says what it shows."""

    title: str
    code: str


SNIPPETS: Mapping[str, Snippet] = {
    "list": Snippet(
        "What may I call?",
        """import tools

# Every server is a module of tools; help() shows a signature.
return sorted(name for name in dir(tools) if not name.startswith("_"))
""",
    ),
    "page": Snippet(
        "Collect all pages",
        """from tools import crm

rows, cursor = [], None
while True:
    page = crm.list_customers(cursor=cursor, limit=500)
    rows += page["items"]
    cursor = page.get("next_cursor")
    if not cursor:
        break
return {"rows": len(rows)}
""",
    ),
    "parallel": Snippet(
        "Call in parallel",
        """import asyncio
from tools import crm

ids = ["C-1", "C-2", "C-3"]
found = await asyncio.gather(*(crm.get_customer(id=i) for i in ids))
return [one["name"] for one in found]
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
    ),
}
