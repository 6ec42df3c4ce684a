"""Every demo script does what it says, against the real demo servers."""

import ast
import asyncio
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from deploy.demo.scripts import SCRIPTS, DemoScript
from deploy.demo.scripts.errands import ERRANDS, Errand
from gateway.codemode.definitions import ToolDef
from gateway.codemode.preflight import check
from gateway.connectors.api import ServerSpec, UpstreamTool
from gateway.connectors.pool import UpstreamPool
from tests.integration.connectors.conftest import ROOT

# Which servers each team may call, as the demo's seed grants them.
GRANTED = {
    "platform": ("crm", "shop", "ops"),
    "growth": ("crm", "shop"),
    "support": ("crm", "ops"),
}
EXAMPLE = runpy.run_path(str(ROOT / "docs/examples/orders_join.py"))
Tools = Mapping[str, Mapping[str, UpstreamTool]]


class ToolError(Exception):
    """As the sandbox has it."""


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[UpstreamPool]:
    pool = UpstreamPool()
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def specs(shop: ServerSpec, ops: ServerSpec, crm: ServerSpec) -> dict[str, ServerSpec]:
    return {"shop": shop, "ops": ops, "crm": crm}


@pytest.fixture(scope="module")
def catalog(shared_pool: UpstreamPool, specs: dict[str, ServerSpec]) -> Tools:
    return {
        name: {t.name: t for t in shared_pool.list_tools(spec, timeout=20).tools}
        for name, spec in specs.items()
    }


def function(
    pool: UpstreamPool, spec: ServerSpec, tool: UpstreamTool, *, coroutine: bool
) -> Callable[..., Any]:
    def call(**arguments: Any) -> Any:
        unknown = set(arguments) - set(tool.input_schema.get("properties", {}))
        if unknown:
            raise TypeError(f"{tool.name} has no {unknown}")
        outcome = pool.call(spec, tool.name, arguments, timeout=20)
        if outcome.is_error:
            raise ToolError(outcome.message)
        return outcome.value

    async def call_async(**arguments: Any) -> Any:
        return await asyncio.to_thread(call, **arguments)

    return call_async if coroutine else call


def run(source: str, team: str, pool: UpstreamPool, specs: Any, catalog: Tools) -> Any:
    coroutine = "await " in source
    tools = ModuleType("tools")
    vars(tools)["ToolError"] = ToolError
    for server in GRANTED[team]:
        functions = {
            name: function(pool, specs[server], tool, coroutine=coroutine)
            for name, tool in catalog[server].items()
        }
        vars(tools)[server] = SimpleNamespace(**functions)
    body = "".join(f"    {line}\n" for line in source.splitlines())
    head = "async def main():\n" if coroutine else "def main():\n"
    namespace: dict[str, Any] = {}
    earlier = sys.modules.get("tools")
    sys.modules["tools"] = tools
    try:
        exec(head + body, namespace)  # noqa: S102 - our own scripts
        main = namespace["main"]
        return asyncio.run(main()) if coroutine else main()
    finally:
        if earlier is None:
            del sys.modules["tools"]
        else:
            sys.modules["tools"] = earlier


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_the_last_attempt_succeeds_and_those_before_fail(
    script: DemoScript,
    shared_pool: UpstreamPool,
    specs: dict[str, ServerSpec],
    catalog: Tools,
) -> None:
    *failing, last = script.attempts
    for source in failing:
        with pytest.raises((TypeError, ToolError)):
            run(source, script.team, shared_pool, specs, catalog)
    started = time.perf_counter()
    value = run(last, script.team, shared_pool, specs, catalog)
    assert time.perf_counter() - started < 10
    assert value
    assert len(str(value)) < 1_000


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_preflight_tells_the_good_attempt_from_the_bad(
    script: DemoScript, catalog: Tools
) -> None:
    tools = {
        f"{server}.{tool.name}": definition(server, tool)
        for server in GRANTED[script.team]
        for tool in catalog[server].values()
    }
    *failing, last = script.attempts
    assert check(last, tools).diagnostics == ()
    assert [check(source, tools).ok for source in failing] == [False] * len(failing)


@pytest.mark.parametrize("errand", ERRANDS, ids=lambda errand: errand.team)
def test_an_errand_is_the_same_as_a_script_and_as_calls(
    errand: Errand,
    shared_pool: UpstreamPool,
    specs: dict[str, ServerSpec],
    catalog: Tools,
) -> None:
    found = run(errand.code, errand.team, shared_pool, specs, catalog)
    lengths = []
    for call in errand.calls:
        server, _, name = call.tool.partition(".")
        outcome = shared_pool.call(
            specs[server], name, dict(call.arguments), timeout=20
        )
        assert isinstance(outcome.value, list)
        lengths.append(len(outcome.value))
    assert found == lengths
    with pytest.raises((TypeError, ToolError)):
        run(errand.spoilt.code, errand.team, shared_pool, specs, catalog)
    server, _, name = errand.spoilt.calls[0].tool.partition(".")
    spoilt = dict(errand.spoilt.calls[0].arguments)
    assert shared_pool.call(specs[server], name, spoilt, timeout=20).is_error


def definition(server: str, tool: UpstreamTool) -> ToolDef:
    return ToolDef(
        server=server,
        name=tool.name,
        original=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        tags=(),
        effect="read",
        version=1,
        fingerprint="",
    )


def test_the_example_returns_three_rows(
    shared_pool: UpstreamPool,
    specs: dict[str, ServerSpec],
    catalog: Tools,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = run(EXAMPLE["CODE"], "platform", shared_pool, specs, catalog)
    assert len(rows) == 3
    assert rows[0]["spent"] > rows[1]["spent"] > rows[2]["spent"]
    assert "10000 orders of " in capsys.readouterr().out


def test_the_index_is_sound() -> None:
    names = [script.name for script in SCRIPTS]
    assert len(names) == len(set(names)) >= 15
    assert {script.team for script in SCRIPTS} == set(GRANTED)
    assert sum(len(script.attempts) > 1 for script in SCRIPTS) >= 3
    for script in SCRIPTS:
        for source in script.attempts:
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
            compile(source, script.name, "exec", flags=flags)
