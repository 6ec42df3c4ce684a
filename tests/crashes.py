"""What tests do to processes: engines that may be killed, kills and stalls."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.clock import now
from deploy.probes import answers, free_port
from finops.services.prices import ensure_default_prices
from gateway.connectors.pool import UpstreamPool
from gateway.models import Tool
from gateway.services import catalog, sync
from policy.models import ServiceAccount
from tests.builders.catalog import make_grant
from tests.builders.identity import ACTOR, AT, make_account, make_environment
from tests.integration.setup.embedded import ROOT, embedded, environment, wait_for
from tests.stack import Stack

_PID_FILES = {"postgres": "postgres/postmaster.pid", "redis": "redis/redis.pid"}


@contextmanager
def engines(data_dir: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """What starts PostgreSQL and Redis, and starts them again when they die."""
    file = data_dir / "engines.json"
    process = subprocess.Popen(
        embedded(data_dir, "sleep", "9000"), cwd=ROOT, env=environment()
    )
    try:
        wait_for(lambda: file.exists() or process.poll() is not None, "engines", 90)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def engine_pid(data_dir: Path, name: str) -> int:
    """The process of ``postgres`` or ``redis``. Raises OSError while it is away."""
    pid = int((data_dir / _PID_FILES[name]).read_text().split()[0])
    assert pid > 1
    return pid


def kill_engine(stack: Stack, name: str) -> None:
    """SIGKILL to PostgreSQL or Redis, by its pid file."""
    os.kill(engine_pid(stack.data_dir, name), signal.SIGKILL)


def with_children(pid: int) -> list[int]:
    """A process and its children: PostgreSQL's each serve a connection."""
    found = [pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == pid:
                    found.append(int(entry.name))
    return found


def serve_ledger(stack: Stack, module: str, file: Path) -> str:
    """Start a tool server that keeps a ledger, and return its address."""
    port = free_port(0)
    command = [sys.executable, "-m", module, str(file), "--port", str(port)]
    stack.spawn("ledger", command)
    stack.wait_for(lambda: answers(port), "the ledger")
    return f"http://127.0.0.1:{port}/mcp"


def offer_ledger(url: str) -> ServiceAccount:
    """The ledger's tools in the catalog, and an account that may call them all."""
    ensure_default_prices(at=AT)
    make_environment("dev")
    account = make_account()
    server = catalog.add_server(
        name="ledger", transport="http", url=url, actor=ACTOR, at=now()
    )
    pool = UpstreamPool()
    try:
        report = sync.sync_server(
            server_id=server.pk, upstream=pool, actor=ACTOR, at=now()
        )
    finally:
        pool.close()
    assert not report.error
    ids = list(Tool.objects.values_list("pk", flat=True))
    catalog.confirm_effects(tool_ids=ids, actor=ACTOR, at=now())
    catalog.set_environments(tool_ids=ids, environments=["dev"], actor=ACTOR, at=now())
    make_grant(account.team, server)
    return account


def urls_of(data_dir: Path) -> tuple[str, str]:
    """Where PostgreSQL and Redis of a data directory answer."""
    urls = json.loads((data_dir / "engines.json").read_text())
    return urls["database_url"], urls["redis_url"]
