"""One size of ``benchmarks.reports``: facts, sums, and the time of each page."""

import os
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import django

from benchmarks.figures import show, spread

_TICKS = os.sysconf("SC_CLK_TCK")
DAYS = 30
LAST = date(2026, 10, 30)
AFTER = datetime(2026, 11, 9, tzinfo=UTC)
PAGES = ("first-try", "tokens", "time", "cost-per-action")
GROUPED = ("", "team", "tool")
_FACTS = (Path(__file__).parent / "reports_facts.sql").read_text()
_LEDGER = """
INSERT INTO finops_usageevent (
  uid, at, kind, sku, unit, quantity, known, cost, currency, list_currency, run, task,
  server, tool, model, team, cost_centre, project, environment, principal, token_kind,
  reverses)
SELECT f.run || tool, f.ended_at, 'tool_call', 'tool/' || tool, 'Requests', 2,
  'measured', 0.004, 'USD', '', f.run, f.task, split_part(tool, '.', 1), tool, f.model,
  f.team, f.cost_centre, f.project, f.environment, f.principal, '', ''
FROM finops_runfact f, unnest(f.tools) AS tool
"""
# The rows of the days that have raw facts stand for those that have none.
_COPY = """
INSERT INTO {table} (day, {columns})
SELECT d.day - {every} * k, {values} FROM {table} d, generate_series(1, %s) AS k
"""


def use(runs: int) -> None:
    """A database of its own, with tables and nobody in it."""
    name = f"reports_{runs}"
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
    for alias in connections:
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name
    call_command("migrate", verbosity=0)


def fill(runs: int, most: int) -> None:
    """Two windows of so many runs each, as far back as ``most`` raw ones reach."""
    each = runs // DAYS
    days = max(1, min(2 * DAYS, most // each))
    each_raw = min(each, most)
    end = datetime.combine(LAST + timedelta(days=1), datetime.min.time(), UTC)
    start = end - timedelta(days=days)
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.5)")
        for day in range(days):
            values: dict[str, Any] = {
                "first": 1 + day * each_raw,
                "runs": each_raw,
                "start": start + timedelta(days=day),
                "seconds": 86_000,
            }
            cursor.execute(_FACTS, values)
        cursor.execute(_LEDGER)
        cursor.execute("ANALYZE finops_runfact")
        cursor.execute("ANALYZE finops_usageevent")
    filled, began = time.monotonic() - began, time.monotonic()
    for day in range(days):
        window = [start + timedelta(days=day + more) for more in (0, 1)]
        task_facts.rebuild(start=window[0], end=window[1])
    tasks, began = time.monotonic() - began, time.monotonic()
    made = rollups.keep_up(at=AFTER, most=1000)
    sums = time.monotonic() - began
    _copy(days, each / each_raw)
    with connection.cursor() as cursor:
        for table in ("taskfact", "dayfigures", "daysketch"):
            cursor.execute(f"ANALYZE finops_{table}")
        cursor.execute("SELECT pg_database_size(current_database())")
        size = cursor.fetchone()[0]
    show(
        "reports_fill",
        runs=runs,
        raw_runs=each_raw * days,
        raw_days=days,
        facts_s=round(filled, 1),
        tasks_s=round(tasks, 1),
        days_made=made,
        made_s=round(sums, 1),
        sums=DayFigures.objects.count(),
        sketches=DaySketch.objects.count(),
        database_mb=size // 1_000_000,
    )


def _copy(days: int, times: float) -> None:
    """The days before those with raw facts, and all counts by so much more."""
    copies = -(-2 * DAYS // days) - 1
    sums = [*COUNTED, "cost"]
    figures = ["newest", "thin", "server", "tool", "mode", "language", *SHARED]
    arrays = ("counts", "queue", "hold", "run")
    more = {name: f"({name} * {times})::bigint" for name in COUNTED}
    more["cost"] = f"cost * {times}"
    for name in arrays:
        more[name] = f"ARRAY(SELECT (x * {times})::bigint FROM unnest({name}) x)"  # noqa: S608
    every = {
        "finops_dayfigures": [*figures, *sums],
        "finops_daysketch": ["team", "dimension", "key", "bins", *arrays],
    }
    with connection.cursor() as cursor:
        for table, columns in every.items():
            if times > 1:
                sets = ", ".join(f"{c} = {more[c]}" for c in columns if c in more)
                cursor.execute(f"UPDATE {table} SET {sets}")  # noqa: S608
            names = ", ".join(columns)
            values = ", ".join(f"d.{name}" for name in columns)
            query = _COPY.format(table=table, columns=names, values=values, every=days)
            if copies:
                cursor.execute(query, [copies])
    RollupState.objects.update(first=LAST - timedelta(days=2 * DAYS))


def measure(runs: int, times: int, whole: bool) -> None:
    """Each page over the last window, from sums and, where all is there, from rows."""
    team = make_team()
    user = User.objects.create(username="bench")
    Membership.objects.create(user=user, team=team, role=Membership.Role.FINANCE)
    client = Client()
    client.force_login(user)
    first = LAST - timedelta(days=DAYS - 1)
    # Sketches; sums with percentiles of single rows; all of it from single rows.
    for source, least in (("sketches", 0), ("sums", 10**12), ("rows", 10**12)):
        if source != "sketches" and not whole:
            continue
        settings.EXACT_RUNS = least
        if source == "rows":
            RollupState.objects.all().delete()
        for by in GROUPED:
            paths = [
                f"/reports/{page}/?first={first}&last={LAST}&by={by}" for page in PAGES
            ]
            for path in paths:
                _asked(client, path, source)
            cpu = _cpu_seconds()
            taken = [_asked(client, p, source) for p in paths for _ in range(times)]
            cpu = (_cpu_seconds() - cpu) / len(taken)
            show(
                "reports",
                runs=runs,
                source=source,
                by=by,
                **spread(taken),
                cpu_ms=round(1000 * cpu, 1),
                load=round(os.getloadavg()[0], 1),
            )


def _cpu_seconds() -> float:
    """Of this process and of its connection's in PostgreSQL, which work by turns."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return time.process_time() + (int(ticks[11]) + int(ticks[12])) / _TICKS


def _asked(client: "Client", path: str, source: str) -> float:
    began = time.perf_counter()
    response = client.get(path)
    taken = (time.perf_counter() - began) * 1000
    text = response.content.decode()
    assert response.status_code == 200, text
    assert ("Figures: exact" in text) == (source != "sketches"), path
    return taken


def make_team() -> "Team":
    """A team for who asks."""
    return teams.create_team(
        slug="bench", name="Bench", cost_centre="CC-1", actor=SYSTEM, at=AFTER
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    # Models can be loaded only once Django is set up.
    import psycopg
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connection, connections
    from django.test import Client

    from audit.actor import SYSTEM
    from finops.models import DayFigures, DaySketch, RollupState
    from finops.selectors.measures import COUNTED, SHARED
    from finops.services import rollups, task_facts
    from policy.models import Membership, Team, User
    from policy.services import teams

    RUNS, MOST, TIMES = map(int, sys.argv[1:])
    settings.ALLOWED_HOSTS = ["testserver"]
    use(RUNS)
    fill(RUNS, MOST)
    measure(RUNS, TIMES, whole=2 * RUNS <= MOST)
