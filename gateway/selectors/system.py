"""How the installation is, as far as one process of it can know."""

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

import django
from django.conf import settings
from django.db.models import Avg, Count, FloatField, Max, Min, Q
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from gateway import completions, heartbeat
from gateway.diagnosis import Finding, quick
from gateway.heartbeat import Sign
from gateway.models import Run, Server

# Runners are found among this many newest runs, so that the page costs the same
# whatever the history.
_NEWEST_RUNS = 5_000
_MOST_NAMED = 20
# Beat starts the sweep every 5 seconds and the checks of servers every minute.
_SWEEP_LATE = timedelta(seconds=30)
_CHECKS_LATE = timedelta(minutes=5)
_QUEUES = ("runs", "default")
_PACKAGES = ("celery", "mcp", "psycopg", "redis")


@dataclass(frozen=True, slots=True)
class Runner:
    """A runner by its runs among the newest ones; ``state`` is its own report."""

    name: str
    runs: int
    running: int
    last_at: datetime | None
    dispatch_seconds: float | None
    reported_at: datetime | None
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Work:
    """What waits and what is under way. Messages are None while Redis is away."""

    messages: dict[str, int | None]
    queued: int
    oldest_at: datetime | None
    running: int


@dataclass(frozen=True, slots=True)
class Servers:
    """Active tool servers by health, and the names of those that are down."""

    up: int
    down: int
    unknown: int
    inactive: int
    down_names: list[str]


@dataclass(frozen=True, slots=True)
class System:
    """One look at the installation."""

    at: datetime
    findings: list[Finding]
    work: Work
    runners: list[Runner]
    servers: Servers
    last_sweep: datetime | None
    last_checks: datetime | None
    versions: dict[str, str]
    configuration: dict[str, Any]

    @property
    def troubles(self) -> int:
        """How many parts need somebody."""
        return sum(not finding.ok for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {"status": "trouble" if self.troubles else "ok", **asdict(self)}


def system(*, at: datetime) -> System:
    """Every check that is cheap, and the figures beside them.

    It takes a few queries and about half a second, in which workers may answer.
    """
    signs = heartbeat.signs(at=at)
    findings = [
        *quick(),
        _seen("Sweep", signs.get("sweep"), _SWEEP_LATE, at),
        _seen("Server checks", signs.get("check-servers"), _CHECKS_LATE, at),
    ]
    servers = _servers()
    if servers.down:
        findings.append(_down(servers))
    return System(
        at=at,
        findings=findings,
        work=_work(),
        runners=_runners(signs),
        servers=servers,
        last_sweep=_at(signs.get("sweep")),
        last_checks=_at(signs.get("check-servers")),
        versions=_versions(),
        configuration=_configuration(),
    )


def _at(sign: Sign | None) -> datetime | None:
    return sign.at if sign else None


def _seen(part: str, sign: Sign | None, late: timedelta, at: datetime) -> Finding:
    if sign is not None and at - sign.at <= late:
        return Finding(part, True, f"last at {sign.at:%H:%M:%S} UTC")
    found = f"last at {sign.at:%Y-%m-%d %H:%M:%S} UTC" if sign else "not seen today"
    return Finding(
        part,
        False,
        found,
        "See that beat and the worker or runner that does it are up: log/beat.log, "
        "log/worker.log and log/runner.log.",
    )


def _down(servers: Servers) -> Finding:
    return Finding(
        "Tool servers",
        False,
        f"{servers.down} down: {', '.join(servers.down_names)}",
        "Open the server under Catalog: its page shows the error. Its tools fail "
        "until it answers.",
    )


def _work() -> Work:
    counts = Run.objects.filter(status__in=["queued", "running"]).aggregate(
        queued=Count("pk", filter=Q(status=Run.Status.QUEUED)),
        running=Count("pk", filter=Q(status=Run.Status.RUNNING)),
        oldest=Min("queued_at", filter=Q(status=Run.Status.QUEUED)),
    )
    return Work(
        messages={name: completions.waiting(name) for name in _QUEUES},
        queued=counts["queued"],
        oldest_at=counts["oldest"],
        running=counts["running"],
    )


def _runners(signs: Mapping[str, Sign]) -> list[Runner]:
    newest = Run.objects.aggregate(pk=Max("pk"))["pk"] or 0
    rows = (
        Run.objects.filter(pk__gt=newest - _NEWEST_RUNS)
        .exclude(runner="")
        .values("runner")
        .annotate(
            runs=Count("pk"),
            running=Count("pk", filter=Q(status=Run.Status.RUNNING)),
            last_at=Max("started_at"),
            dispatch=Avg(
                Cast(KT("usage__sandbox__dispatch_seconds"), FloatField()),
                # A script that was refused before it ran had no sandbox.
                filter=Q(usage__sandbox__wall_seconds__gt=0),
            ),
        )
        .order_by("-last_at", "runner")[:_MOST_NAMED]
    )
    said = {
        name.removeprefix("runner:"): sign
        for name, sign in signs.items()
        if name.startswith("runner:")
    }
    found = [
        Runner(
            name=row["runner"],
            runs=row["runs"],
            running=row["running"],
            last_at=row["last_at"],
            dispatch_seconds=row["dispatch"],
            reported_at=_at(said.get(row["runner"])),
            state=said[row["runner"]].state if row["runner"] in said else {},
        )
        for row in rows
    ]
    known = {runner.name for runner in found}
    idle = [
        Runner(name, 0, 0, None, None, sign.at, sign.state)
        for name, sign in sorted(said.items())
        if name not in known
    ]
    return found + idle[:_MOST_NAMED]


def _servers() -> Servers:
    health = dict.fromkeys(Server.Health.values, 0)
    active = Server.objects.filter(status=Server.Status.ACTIVE)
    rows = active.values_list("health").annotate(n=Count("pk")).order_by("health")
    health.update(dict(rows))
    down = active.filter(health=Server.Health.DOWN).order_by("name")
    return Servers(
        up=health[Server.Health.UP],
        down=health[Server.Health.DOWN],
        unknown=health[Server.Health.UNKNOWN],
        inactive=Server.objects.exclude(status=Server.Status.ACTIVE).count(),
        down_names=list(down.values_list("name", flat=True)[:_MOST_NAMED]),
    )


def _versions() -> dict[str, str]:
    return {
        "Python": platform.python_version(),
        "Django": django.get_version(),
        **{name: version(name) for name in _PACKAGES},
    }


def _configuration() -> dict[str, Any]:
    return {
        "Mode": settings.MODE,
        "Public address": settings.PUBLIC_URL,
        "Data directory": str(settings.DATA_DIR),
        "Warm sandboxes a runner": settings.SANDBOX_POOL_SIZE,
        "Runs at a time a runner": settings.RUN_THREADS,
        "Lease of a run, seconds": settings.RUN_LEASE_SECONDS,
        "Report time zone": settings.REPORT_TIME_ZONE,
        "Currency": settings.CURRENCY,
    }
