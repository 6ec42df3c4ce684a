"""Search latency by catalog size and what the definitions cost; JSON lines."""

import json
import random
import time
from collections.abc import Iterator
from typing import Any

from gateway.codemode import render, tokens
from gateway.codemode.agent_tools import AGENT_TOOLS
from gateway.codemode.definitions import ToolDef
from gateway.codemode.search import Index

SIZES = (40, 2_500, 20_000)
QUERIES = 400
_VERBS = [
    "list",
    "get",
    "create",
    "update",
    "delete",
    "search",
    "export",
    "archive",
    "approve",
    "assign",
]
_NOUNS = [
    "order",
    "invoice",
    "customer",
    "ticket",
    "shipment",
    "contract",
    "payment",
    "refund",
    "account",
    "user",
    "project",
    "report",
    "alert",
    "deployment",
    "volume",
    "network",
    "cluster",
    "message",
    "channel",
    "webhook",
]
_FIELDS = [
    "id",
    "since",
    "until",
    "limit",
    "status",
    "owner",
    "region",
    "currency",
    "amount",
    "label",
]


def make_tools(count: int) -> list[ToolDef]:
    """Tools with names, parameters and descriptions of ordinary length."""
    rng = random.Random(count)  # noqa: S311
    return [_make_tool(number, rng) for number in range(count)]


def _make_tool(number: int, rng: random.Random) -> ToolDef:
    verb, noun, other = rng.choice(_VERBS), rng.choice(_NOUNS), rng.choice(_NOUNS)
    fields = rng.sample(_FIELDS, rng.randint(1, 6))
    schema = {
        "type": "object",
        "properties": {
            field: {"type": "string", "description": f"The {field} of the {noun}."}
            for field in fields
        },
    }
    return ToolDef(
        server=f"service_{number % 60}",
        name=f"{verb}_{noun}_{other}_{number}",
        original=f"{verb}{noun.title()}{other.title()}{number}",
        title=f"{verb.title()} {noun}",
        description=f"{verb.title()} one {noun} together with each {other}. "
        f"Works on area {rng.randint(1, 99)} and takes {', '.join(fields)}.",
        input_schema=schema,
        output_schema=None,
        tags=(noun,),
        effect="read",
        version=1,
        fingerprint=str(number),
    )


def _queries(rng: random.Random) -> Iterator[str]:
    for _ in range(QUERIES):
        yield (
            f"{rng.choice(_VERBS)} the {rng.choice(_NOUNS)}s of a {rng.choice(_NOUNS)} "
            f"by {rng.choice(_FIELDS)}"
        )


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(count: int) -> dict[str, Any]:
    """One line of results for a catalog of `count` tools."""
    tools = make_tools(count)
    started = time.perf_counter()
    index = Index(tools)
    build = time.perf_counter() - started
    # Half of the catalog is granted: the filter is part of every search.
    allowed = frozenset(tool.full_name for tool in tools[::2])
    index.search("warm up", allowed=allowed)
    search, rendered = [], []
    for query in _queries(random.Random(1)):  # noqa: S311
        started = time.perf_counter()
        hits = index.search(query, allowed=allowed)
        search.append((time.perf_counter() - started) * 1000)
        render.render_search(hits, render.DETAILED, 6000)
        rendered.append((time.perf_counter() - started) * 1000)
    full = [{"name": t.full_name, "description": t.description} for t in tools]
    for row, tool in zip(full, tools, strict=True):
        row["inputSchema"] = json.dumps(tool.input_schema)
    return {
        "benchmark": "search",
        "tools": count,
        "build_seconds": round(build, 3),
        "search_p50_ms": round(_percentile(search, 0.5), 3),
        "search_p95_ms": round(_percentile(search, 0.95), 3),
        "with_rendering_p50_ms": round(_percentile(rendered, 0.5), 3),
        "with_rendering_p95_ms": round(_percentile(rendered, 0.95), 3),
        "tokens_of_all_definitions": tokens.count(json.dumps(full)),
        "tokens_up_front": tokens.count(json.dumps(AGENT_TOOLS)),
        "tokenizer": tokens.TOKENIZER,
    }


def main() -> None:
    for count in SIZES:
        print(json.dumps(measure(count)), flush=True)


if __name__ == "__main__":
    main()
