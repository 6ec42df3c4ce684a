"""One warm gVisor pool for all tests here."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.sandbox.api import (
    JSON,
    Call,
    CallError,
    Job,
    Limits,
    OnCall,
    Reply,
    Result,
)
from gateway.sandbox.bare import MontyProvider
from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.provider import GVisorProvider
from gateway.sandbox.runsc import find_runsc
from gateway.sandbox.team.provider import TeamProvider

TOOLS = {
    "crm": {
        "echo": "crm.echo",
        "fail": "crm.fail",
        "rows": "crm.rows",
        "explode": "crm.explode",
        "list_orders": "crm.list_orders",
    },
    "mail": {"send": "mail.send"},
}
WHY: dict[str, JSON] = {"quota": 7, "scope": {"team": "sales"}, "retry_after": None}
STARTED_AT = 1_790_000_000.0  # 2026-09-21T14:13:20Z

Run = Callable[..., Result]


def serve(call: Call) -> Reply:
    """A few tools of our own."""
    match call.tool:
        case "crm.fail":
            error = CallError("denied", "no grant", True, ("crm.echo",), WHY)
            return Reply(error=error)
        case "crm.rows":
            count = call.arguments["n"]
            assert isinstance(count, int)
            return Reply(value=[{"id": i, "name": f"row {i}"} for i in range(count)])
        case "crm.explode":
            raise RuntimeError("a bug of ours")
        case _:
            return Reply(value={"step": call.step, **call.arguments})


@pytest.fixture(scope="session")
def sandbox_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="session")
def provider(sandbox_folder: Path) -> Iterator[GVisorProvider]:
    try:
        find_runsc("", sandbox_folder)
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    made = GVisorProvider(sandbox_folder, size=2, typescript_size=2)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="session")
def team_provider(
    sandbox_folder: Path, provider: GVisorProvider
) -> Iterator[TeamProvider]:
    made = TeamProvider(sandbox_folder / "teams", provider)
    made.start()
    yield made
    made.close()


@pytest.fixture(scope="session")
def bare_provider() -> Iterator[MontyProvider]:
    made = MontyProvider(4)
    made.start()
    yield made
    made.close()


@pytest.fixture
def run(provider: GVisorProvider) -> Run:
    """Runs Python; keyword arguments are limits, but for the few named here."""
    return _runner(provider, "python")


@pytest.fixture
def run_typescript(provider: GVisorProvider) -> Run:
    """The same for TypeScript."""
    return _runner(provider, "typescript")


def _runner(provider: GVisorProvider, language: str) -> Run:
    def run_script(
        code: str,
        *,
        on_call: OnCall = serve,
        seed: int = 1,
        cancelled: threading.Event | None = None,
        tools: Mapping[str, Mapping[str, str]] = TOOLS,
        **limits: Any,
    ) -> Result:
        logging.disable(logging.CRITICAL)
        try:
            job = Job("t", code, language, seed, STARTED_AT, tools, Limits(**limits))
            return provider.run(job, on_call, cancelled)
        finally:
            logging.disable(logging.NOTSET)

    return run_script
