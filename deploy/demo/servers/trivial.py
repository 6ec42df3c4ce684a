"""Ten tools that do next to nothing, to measure what lies around them."""

from mcp.server import MCPServer
from typing_extensions import TypedDict

from deploy.demo.servers.serve import READ, run


class Pair(TypedDict):
    quotient: int
    remainder: int


server = MCPServer(
    "trivial",
    version="1.0.0",
    log_level="ERROR",
    instructions="Ten trivial tools.",
)


@server.tool(annotations=READ)
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(annotations=READ)
async def subtract(a: int, b: int) -> int:
    """Subtract the second number from the first."""
    return a - b


@server.tool(annotations=READ)
async def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


@server.tool(annotations=READ)
async def divide(a: int, b: int) -> Pair:
    """Divide with remainder."""
    return {"quotient": a // b, "remainder": a % b}


@server.tool(annotations=READ)
async def negate(a: int) -> int:
    """Change the sign of a number."""
    return -a


@server.tool(annotations=READ)
async def is_even(a: int) -> bool:
    """Whether a number is even."""
    return a % 2 == 0


@server.tool(annotations=READ)
async def echo(text: str) -> str:
    """Give the text back."""
    return text


@server.tool(annotations=READ)
async def upper(text: str) -> str:
    """The text in capitals."""
    return text.upper()


@server.tool(annotations=READ)
async def length(text: str) -> int:
    """The number of characters of a text."""
    return len(text)


@server.tool(annotations=READ)
async def numbers(count: int) -> list[int]:
    """The numbers from 0 up to `count`."""
    return list(range(count))


if __name__ == "__main__":
    run(server)
