"""The demo's supervisor, with the whole of Tollgate under it."""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.embedded.postgres import APPLICATION
from deploy.probes import free_port, is_ready
from tests.integration.setup.embedded import ROOT, environment, is_running, wait_for

pytestmark = pytest.mark.slow


@dataclass(slots=True)
class Demo:
    """A demo in a directory of its own."""

    data_dir: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def output(self) -> str:
        return (self.data_dir.parent / "output").read_text()

    @property
    def env(self) -> dict[str, str]:
        return environment(
            TOLLGATE_DATA_DIR=str(self.data_dir), TOLLGATE_PORT=str(self.port)
        )

    def start(self) -> None:
        with (self.data_dir.parent / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.supervisor", "--without-traffic"],
                cwd=ROOT,
                env=self.env,
                stdout=output,
                stderr=output,
            )
        process = self.process
        wait_for(
            lambda: "Ready: " in self.output or process.poll() is not None,
            "the demo",
            180,
        )
        assert "Ready: " in self.output, self.output

    def processes(self) -> dict[int, str]:
        """Command lines of all that runs for this directory, by pid."""
        marker = f"TOLLGATE_DATA_DIR={self.data_dir}\0".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                ours = marker in (entry / "environ").read_bytes()
            except OSError:
                continue
            if is_running(int(entry.name)) and (ours or str(self.data_dir) in command):
                found[int(entry.name)] = command
        return found

    def pid(self, pattern: str) -> int:
        """The pid of the one process whose command line matches."""
        (found,) = [
            pid for pid, line in self.processes().items() if re.search(pattern, line)
        ]
        return found


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    folder = Path(tempfile.mkdtemp(prefix="tgdemo"))
    folder.chmod(0o755)
    running = Demo(folder / "var", free_port(0))
    running.start()
    yield running
    if running.process is not None and running.process.poll() is None:
        running.process.terminate()
        running.process.wait(30)
    shutil.rmtree(folder)


def test_it_prints_how_to_get_in(demo: Demo) -> None:
    written = json.loads((demo.data_dir / "demo.json").read_text())

    assert f"Ready: http://127.0.0.1:{demo.port}\n" in demo.output
    assert written["url"] == f"http://127.0.0.1:{demo.port}"
    assert written["mcp_url"] == f"http://127.0.0.1:{demo.port}/mcp"
    assert f"API key: {written['api_key']}" in demo.output
    assert f'"Authorization": "Bearer {written["api_key"]}"' in demo.output
    for user in written["users"]:
        assert user["password"] in demo.output


def test_finance_has_something_to_decide(demo: Demo) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.demo.decisions"],
        cwd=ROOT,
        env=demo.env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("awaiting_approval") == 3


def test_finance_has_months_to_look_at(demo: Demo) -> None:
    """Twice: what is there is left alone."""
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-m", "deploy.demo.finances"],
            cwd=ROOT,
            env=demo.env,
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert re.fullmatch(
            r"\d{4} answers of models are in the ledger\n", ended.stdout
        )
    urls = json.loads((demo.data_dir / "engines.json").read_text())
    with psycopg.connect(urls["owner_database_url"]) as connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query).fetchall()

        assert rows("SELECT state FROM finops_billingperiod ORDER BY month") == [
            ("issued",),
            ("review",),
            ("draft",),
        ]
        assert rows("SELECT state FROM finops_dispute") == [("open",)]
        # What the log of a closed month told too late is in the next one.
        assert rows(
            "SELECT DISTINCT l.category FROM finops_statementline l "
            "JOIN finops_statement s ON s.id = l.statement_id "
            "JOIN finops_billingperiod p ON p.id = s.period_id "
            "WHERE p.state = 'review' AND l.charge_month < p.month"
        ) == [("correction",)]
        assert rows(
            "SELECT kind FROM finops_budgetalert "
            "WHERE kind = 'threshold' AND about = '80'"
        ) == [("threshold",)]
        assert rows("SELECT kind FROM finops_annotation") == [("deployment",)]


def test_agents_ask_models_through_it(demo: Demo) -> None:
    code = (
        "from deploy.demo import agents; agents.ROUNDS = 1; "
        "raise SystemExit(agents.main(agents.play))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=demo.env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.stdout == "12 errands, 12 done\n", ended.stdout + ended.stderr
    urls = json.loads((demo.data_dir / "engines.json").read_text())
    with psycopg.connect(urls["owner_database_url"]) as connection:
        tasks = connection.execute(
            "SELECT mode, model, count(*), min(tokens), "
            "count(*) FILTER (WHERE first_succeeded), min(known), min(outcome) "
            "FROM finops_taskfact WHERE model LIKE 'orchid%' "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        rows = connection.execute(
            "SELECT count(*), count(cost), count(*) FILTER (WHERE task = '') "
            "FROM finops_usageevent WHERE sku LIKE 'model/orchard/%'"
        ).fetchone()
    # Every model was asked for every errand in both ways; the small one errs at first.
    assert [row[:3] for row in tasks] == [
        (mode, model, 3)
        for mode in ("direct", "script")
        for model in ("orchid-large", "orchid-small")
    ]
    assert all(row[3] > 0 for row in tasks)
    assert {row[5:] for row in tasks} == {("measured", "succeeded")}
    assert {row[4] for row in tasks if row[1] == "orchid-large"} == {3}
    assert {row[4] for row in tasks if row[1] == "orchid-small"} == {0}
    assert rows is not None
    assert rows[0] == rows[1] > 100
    assert rows[2] == 0


def test_every_process_is_there(demo: Demo) -> None:
    for pattern in (
        r"uvicorn config\.asgi",
        r"worker -Q runs",
        r"worker -Q default",
        r"celery -A config beat",
        r"manage\.py seal_audit",
        r"manage\.py deliver_audit",
        r"demo\.servers\.shop --port",
        r"demo\.servers\.ops --port",
        r"demo\.servers\.models --port",
    ):
        assert demo.pid(pattern) > 1


def test_every_process_works_as_the_application(demo: Demo) -> None:
    urls = json.loads((demo.data_dir / "engines.json").read_text())
    with psycopg.connect(urls["owner_database_url"]) as connection:
        rows = connection.execute(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'tollgate' "
            "AND pid <> pg_backend_pid()"
        )
        assert [name for (name,) in rows] == [APPLICATION]


def test_a_second_start_says_who_holds_the_directory(demo: Demo) -> None:
    assert demo.process is not None

    refused = subprocess.run(
        [sys.executable, "-m", "deploy.supervisor"],
        cwd=ROOT,
        env=demo.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode == 1
    assert f"{demo.data_dir} is in use by the demo" in refused.stderr
    assert f"http://127.0.0.1:{demo.port} (pid {demo.process.pid})" in refused.stderr
    assert is_ready(demo.port)


def test_a_taken_port_is_named(demo: Demo) -> None:
    other = demo.data_dir.parent / "other"

    refused = subprocess.run(
        [sys.executable, "-m", "deploy.supervisor"],
        cwd=ROOT,
        env=demo.env | {"TOLLGATE_DATA_DIR": str(other)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert refused.returncode == 1
    assert f"Port {demo.port} on 127.0.0.1 is taken" in refused.stderr
    assert "TOLLGATE_PORT=" in refused.stderr
    assert not (other / "engines.json").exists()


def test_killed_processes_are_started_again(demo: Demo) -> None:
    web = demo.pid(r"uvicorn config\.asgi")
    runner = demo.pid(r"worker -Q runs")
    postgres = int((demo.data_dir / "postgres/postmaster.pid").read_text().split()[0])
    redis_server = int((demo.data_dir / "redis/redis.pid").read_text())
    for pid in (web, runner, postgres, redis_server):
        os.kill(pid, signal.SIGKILL)

    wait_for(lambda: "web ended (signal SIGKILL)" in demo.output, "the report on web")
    wait_for(lambda: is_ready(demo.port), "web, PostgreSQL and Redis", 60)

    wait_for(lambda: "runner ended" in demo.output, "the report on the runner")
    for name in ("postgres", "redis"):
        assert f"{name} had died and was started again" in demo.output
    assert demo.pid(r"uvicorn config\.asgi") != web
    assert demo.pid(r"worker -Q runs") != runner


def test_sigterm_leaves_nothing_behind(demo: Demo) -> None:
    assert demo.process is not None

    demo.process.terminate()

    assert demo.process.wait(30) == 0
    assert demo.processes() == {}
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection("127.0.0.1", demo.port).connect()


def test_a_start_on_existing_data_keeps_keys_and_repeats_no_step(demo: Demo) -> None:
    before = (demo.data_dir / "demo.json").read_text()

    demo.start()

    assert (demo.data_dir / "demo.json").read_text() == before
    assert "running" not in demo.output
    assert "seeding" not in demo.output


def test_kill_9_of_the_supervisor_leaves_nothing_running(demo: Demo) -> None:
    assert demo.process is not None
    assert len(demo.processes()) > 6

    demo.process.kill()
    demo.process.wait()

    wait_for(lambda: not demo.processes(), "everything to end", 15)
