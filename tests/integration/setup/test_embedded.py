"""The embedded engines: what is kept, who is refused, what a kill leaves."""

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.integration.setup.embedded import (
    engines_up,
    is_running,
    run_embedded,
    wait_for,
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A short path that everybody may pass."""
    path = Path(tempfile.mkdtemp(prefix="tg"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def data_dir(folder: Path) -> Path:
    """One data directory for this module: making a cluster takes a second."""
    return folder / "var"


def test_the_command_gets_the_engines_and_gives_its_exit_code(data_dir: Path) -> None:
    script = 'echo "$DATABASE_URL $REDIS_URL $TOLLGATE_DATA_DIR"; exit 7'

    done = run_embedded(data_dir, "sh", "-c", script)

    assert done.returncode == 7, done.stderr
    database, broker, home = done.stdout.split()
    assert database == f"postgresql://tollgate@/tollgate?host={data_dir}/postgres"
    assert broker.startswith("redis://:")
    assert home == str(data_dir)


def test_rows_and_queued_work_outlive_a_restart(data_dir: Path) -> None:
    with engines_up(data_dir) as up:
        up.sql("CREATE TABLE kept (word text)")
        up.sql("INSERT INTO kept VALUES ('row')")
        up.redis().rpush("queue", "job")
    with engines_up(data_dir) as up:
        assert up.sql("SELECT word FROM kept") == [("row",)]
        assert up.redis().lrange("queue", 0, -1) == [b"job"]


def test_only_the_owner_gets_in(data_dir: Path) -> None:
    with engines_up(data_dir) as up:
        for name, mode in (("engines.json", 0o600), ("postgres", 0o700)):
            assert stat.S_IMODE((data_dir / name).stat().st_mode) == mode
        assert up.sql("SHOW listen_addresses") == [("",)]
        assert up.sql("SELECT rolsuper FROM pg_roles WHERE rolname = user") == [
            (False,)
        ]
        port = up.redis().connection_pool.connection_kwargs["port"]
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port, retry=Retry(NoBackoff(), 0)).ping()


def test_commits_are_durable_and_queues_never_evicted(data_dir: Path) -> None:
    with engines_up(data_dir) as up:
        for name, value in (
            ("synchronous_commit", "on"),
            ("fsync", "on"),
            ("max_connections", "200"),
            ("TimeZone", "UTC"),
        ):
            assert up.sql(f"SHOW {name}") == [(value,)]
        kept = up.redis().config_get("maxmemory-policy")
        assert kept == {"maxmemory-policy": "noeviction"}


def test_a_second_start_is_refused_and_says_who_holds_it(data_dir: Path) -> None:
    with engines_up(data_dir) as up:
        refused = run_embedded(data_dir, "true")

        assert refused.returncode == 1
        assert f"{data_dir} is in use by pid {up.process.pid}" in refused.stderr
        assert up.sql("SELECT 1") == [(1,)]


def test_killed_engines_come_back_at_the_same_address(data_dir: Path) -> None:
    with engines_up(data_dir) as up:
        up.sql("CREATE TABLE IF NOT EXISTS survived (at int)")
        up.sql("INSERT INTO survived VALUES (1)")
        up.redis().set("survived", 1)
        killed = (up.postgres_pid, up.redis_pid)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(map(is_running, killed)), "their end")

        wait_for(lambda: _answers(up.database_url, up.redis_url), "both engines")

        assert up.sql("SELECT at FROM survived") == [(1,)]
        assert up.redis().get("survived") == b"1"


def _answers(database_url: str, redis_url: str) -> bool:
    try:
        psycopg.connect(database_url).close()
        return bool(redis.Redis.from_url(redis_url).ping())
    except (psycopg.OperationalError, redis.ConnectionError):
        return False


def test_a_killed_start_leaves_nothing_and_the_next_one_works(data_dir: Path) -> None:
    with engines_up(data_dir) as up:
        left = (up.postgres_pid, up.redis_pid)
        up.process.kill()
        wait_for(lambda: not any(map(is_running, left)), "the engines' end", 10)
    with engines_up(data_dir) as up:
        assert up.sql("SELECT 1") == [(1,)]


def test_sigterm_stops_the_command_and_the_engines(data_dir: Path) -> None:
    with engines_up(data_dir) as up:
        left = (up.postgres_pid, up.redis_pid)
        up.process.terminate()

        assert up.process.wait(15) == 128 + signal.SIGTERM
        assert not any(map(is_running, left))
        assert not (data_dir / "engines.json").exists()


def test_a_path_too_long_for_a_socket_works(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)

    with engines_up(deep) as up:
        assert f"host={tempfile.gettempdir()}/tollgate-" in up.database_url
        assert up.sql("SELECT 1") == [(1,)]
    shutil.rmtree(up.database_url.partition("host=")[2])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")
def test_root_may_keep_its_data_under_a_closed_home(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)

    with engines_up(home / "var") as up:
        assert up.sql("SELECT 1") == [(1,)]
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_engines_of_somebody_else_are_left_alone(folder: Path) -> None:
    theirs = {"DATABASE_URL": "postgresql://db.invalid/x", "REDIS_URL": "redis://r"}

    done = run_embedded(
        folder / "given", "sh", "-c", 'echo "$DATABASE_URL $REDIS_URL"', **theirs
    )

    assert done.stdout.split() == list(theirs.values())
    assert not (folder / "given" / "postgres").exists()
    assert not (folder / "given" / "engines.json").exists()


def test_a_data_directory_that_is_a_file_is_named(folder: Path) -> None:
    (folder / "file").write_text("")

    done = run_embedded(folder / "file", "true")

    assert done.returncode == 1
    assert f"{folder}/file cannot be used" in done.stderr
    assert "TOLLGATE_DATA_DIR" in done.stderr
