"""What cannot be recorded does not happen: no rights, no PostgreSQL, no space.

The ledger counts what reaches the tool server. A script that is under way when the
trail becomes unwritable calls nothing; once it can be written, the run goes on.
"""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import httpx2
import psycopg
import pytest
from psycopg import sql

from config import env
from config.embedded.postgres import APPLICATION
from core.clock import now
from tests.integration.kill.conftest import Scene, away

pytestmark = pytest.mark.slow
# Longer than it takes until the trail is unwritable.
_LEAD = 4


def later(entry: str) -> str:
    """A script that makes its one call when the trail cannot be written any more."""
    return (
        "import time\nfrom tools import ledger\n"
        f"time.sleep({_LEAD})\nreturn ledger.put(entry='{entry}')"
    )


@contextmanager
def superuser(scene: Scene) -> Iterator[psycopg.Connection]:
    url = env.as_role(scene.stack.database_url, "postgres")
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@contextmanager
def revoked(scene: Scene) -> Iterator[None]:
    """The application may not add to the trail."""
    with superuser(scene) as connection:
        connection.execute(f"REVOKE INSERT ON audit_event FROM {APPLICATION}")
    try:
        yield
    finally:
        with superuser(scene) as connection:
            connection.execute(f"GRANT INSERT ON audit_event TO {APPLICATION}")


@contextmanager
def stopped(scene: Scene) -> Iterator[None]:
    """PostgreSQL is away."""
    with away(scene, "postgres"):
        yield
    scene.stack.wait_ready()


@contextmanager
def full(scene: Scene) -> Iterator[None]:
    """The month's partition lies on a small disk without space."""
    disk = scene.stack.data_dir / "disk"
    disk.mkdir()
    part = sql.Identifier(f"audit_event_p{now():%Y_%m}")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        place = disk / "space"
        place.mkdir(mode=0o700)
        owner = (scene.stack.data_dir / "postgres").stat()
        os.chown(place, owner.st_uid, owner.st_gid)
        with _on(scene, part, place):
            yield
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True, capture_output=True)


@contextmanager
def _on(scene: Scene, part: sql.Identifier, place: Path) -> Iterator[None]:
    move = sql.SQL("ALTER TABLE {} SET TABLESPACE {}")
    with superuser(scene) as connection:
        connection.execute(
            sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(place))
        )
        connection.execute(move.format(part, sql.Identifier("small")))
        # Then what is left of the last page, one small event after the other.
        fill(connection, _FILL)
        fill(connection, _FILL_UP)
    try:
        yield
    finally:
        with superuser(scene) as connection:
            connection.execute(move.format(part, sql.Identifier("pg_default")))
            connection.execute("DROP TABLESPACE small")


def fill(connection: psycopg.Connection, statement: str) -> None:
    """Repeat it until there is no space."""
    with suppress(psycopg.errors.DiskFull):
        while True:
            connection.execute(statement.encode())


_COLUMNS = (
    "uid, at, name, decision, actor_kind, actor_id, actor_label, team, environment, "
    "key, target_kind, target_id, target_label, tool, run, request_id, trace_id, "
    "client_address, summary, body"
)
_VALUES = (
    "SELECT 'f_' || gen_random_uuid(), now(), 'access.denied', '', '', '', '', '', '', "
    "'', '', '', '', '', '', '', '', '', '', "
)
_FILL = (
    f"INSERT INTO audit_event ({_COLUMNS}) {_VALUES} repeat('x', 1900) "
    "FROM generate_series(1, 100)"
)
_FILL_UP = f"INSERT INTO audit_event ({_COLUMNS}) {_VALUES} '{{}}'"


@pytest.mark.parametrize(
    ("unwritable", "why"),
    [
        (revoked, "refuses to record it"),
        (stopped, "does not answer"),
        (full, "no space left"),
    ],
    ids=["without the right to", "without PostgreSQL", "without space"],
)
def test_nothing_is_called_that_cannot_be_recorded(
    scene: Scene, unwritable: Callable[[Scene], AbstractContextManager[None]], why: str
) -> None:
    entry = unwritable.__name__
    uid = scene.begin(later(f"{entry} under way"))
    scene.stack.wait_for(lambda: scene.status(uid) == "running", "the run", 20)
    with unwritable(scene):
        before = scene.entries()
        said = submitted(scene, f"{entry} asked")
        time.sleep(_LEAD + 1)
        assert scene.entries() == before
        page, answer = refused_over_rest(scene)
    assert why in said, said
    assert "nothing was done" in said
    assert answer.status_code == 503, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["details"]) == ("unavailable", {"retry_after": 5})
    assert why in error["message"]
    assert answer.headers["Retry-After"] == "5"
    assert page.status_code == (503 if unwritable is stopped else 302)
    assert (why in page.text) == (unwritable is stopped)
    assert scene.wait_until_ended(uid) == ["succeeded"]
    assert scene.entries()[f"{entry} under way"] == 1
    assert scene.entries()[f"{entry} asked"] == 0


def submitted(scene: Scene, entry: str) -> str:
    """What an agent is told that asks for a run."""
    code = f"from tools import ledger\nreturn ledger.put(entry='{entry}')"
    arguments = {"name": "execute", "arguments": {"code": code}}
    answer = httpx2.post(
        scene.stack.mcp_url,
        headers={
            "Authorization": f"Bearer {scene.key}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        },
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments},
        timeout=30,
    )
    return answer.text


def refused_over_rest(scene: Scene) -> tuple[httpx2.Response, httpx2.Response]:
    """A page that only reads, and a refusal, which has to be recorded."""
    page = httpx2.get(
        f"{scene.stack.url}/", cookies={"sessionid": "of nobody"}, timeout=30
    )
    answer = httpx2.get(
        f"{scene.stack.url}/api/v1/audit/events/",
        headers={"Authorization": f"Bearer {scene.key}"},
        timeout=30,
    )
    return page, answer
