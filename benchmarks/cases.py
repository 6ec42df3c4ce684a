"""What is measured: scripts for each peer that do the same and give the same value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Case:
    """One script, for Tollgate and for FastMCP CodeMode, and the value of both."""

    name: str
    calls: int
    tollgate: str
    fastmcp: str
    value: int


def _sequential(count: int) -> Case:
    head = "total = 0\nfor _ in range({count}):\n    total = "
    return Case(
        f"sequential_{count}",
        count,
        "from tools import trivial\n"
        + head.format(count=count)
        + "trivial.add(a=total, b=1)\nreturn total",
        head.format(count=count)
        + "(await call_tool('add', {'a': total, 'b': 1}))['result']\nreturn total",
        count,
    )


CASES = (
    Case("no_call", 0, "return 1 + 1", "return 1 + 1", 2),
    _sequential(1),
    _sequential(10),
    _sequential(100),
    Case(
        "parallel_10",
        10,
        "import asyncio\nfrom tools import trivial\n"
        "found = await asyncio.gather(*[trivial.add(a=n, b=1) for n in range(10)])\n"
        "return sum(found)",
        "import asyncio\n"
        "found = await asyncio.gather(\n"
        "    *[call_tool('add', {'a': n, 'b': 1}) for n in range(10)])\n"
        "return sum([one['result'] for one in found])",
        55,
    ),
)
DIRECT_CALLS = 100
