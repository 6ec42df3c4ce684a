"""Time of the audit explorer's queries over a made-up trail; JSON lines.

Run it with the engines' DATABASE_URL; it keeps a database of its own for each size:

    python -m config.embedded --data-dir var/bench -- \\
        python -m benchmarks.explorer --events 1000000
"""

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from hashlib import md5
from typing import Any

import django
import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.http import QueryDict  # noqa: E402
from django.test import RequestFactory  # noqa: E402

from audit.counts import counts  # noqa: E402
from audit.filters import EventFilter  # noqa: E402
from audit.models import Event  # noqa: E402
from audit.selectors import export_rows, history  # noqa: E402
from benchmarks.explorer_events import END, fill  # noqa: E402
from benchmarks.figures import show, spread  # noqa: E402
from core.tables import keyset_by_time  # noqa: E402

_WEEK = "first=2026-11-14&last=2026-11-20"
# What people ask; {…} are those of an event picked at random.
QUERIES = {
    "newest page": "period=all",
    "by team": "period=all&q=team:{team}",
    "by actor": "period=all&q=actor:{actor_id}",
    "by name of an actor": "period=all&q=actor:{actor_label}",
    "by run": "period=all&q=run:{run}",
    "by request": "period=all&q=request:{request_id}",
    "denied in 7 days": f"{_WEEK}&q=decision:deny",
    "tool and decision": "period=all&q=tool:{tool} decision:deny",
    "server and decision": "period=all&q=server:server3 decision:deny",
    "a rare word": "period=all&q={number}",
    "frequent words": 'period=all&q="big refunds"',
    "rare event of a team": "period=all&q=name:quota.set team:{team}",
    "a day two months ago": "first=2026-09-15&last=2026-09-15&q=team:{team}",
    "no such word": "period=all&q=nosuchword",
}
DEEP = 0.9


def use(count: int) -> None:
    """Connect to the trail of ``count`` events; made where it is not there yet."""
    name = f"explorer_{count}"
    with psycopg.connect(settings.DATABASE_URL, autocommit=True) as server:
        asked = "SELECT 1 FROM pg_database WHERE datname = %s"
        if not server.execute(asked, [name]).fetchone():
            server.execute(f'CREATE DATABASE "{name}"')
    connection.close()
    connection.settings_dict["NAME"] = name
    call_command("migrate", "audit", verbosity=0)
    if not Event.objects.exists():
        started = time.perf_counter()
        fill(count)
        show("explorer_fill", events=count, s=round(time.perf_counter() - started))


def picked(count: int, rng: random.Random) -> dict[str, Any]:
    """An event of a call, picked at random."""
    while True:
        number = rng.randrange(1, count + 1)
        uid = f"evt_{md5(str(number).encode()).hexdigest()[:18]}"  # noqa: S324
        event = Event.objects.filter(uid=uid, name="call.intended").values().first()
        if event:
            return {**event, "number": number}


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return (time.perf_counter() - started) * 1000


def measure(count: int, *, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Milliseconds of each query, first the rows of a page, then what is counted."""
    rng = random.Random(7)  # noqa: S311
    some = [picked(count, rng) for _ in range(rounds)]
    events = Event.objects.defer("body")
    for name, query in QUERIES.items():
        rows, counted = [], []
        for event in some:
            text = query.format_map(event)
            found = EventFilter(QueryDict(text), queryset=events)
            assert not found.problems, found.problems
            request = RequestFactory().get("/audit/")
            rows.append(timed(lambda: keyset_by_time(found.qs, request)))  # noqa: B023
            start, end = found.window(END)
            counted.append(timed(lambda: counts(found.qs, start=start, end=end)))  # noqa: B023
        yield name, rows
        yield f"{name}: facets and histogram", counted
    yield "a page 90 % deep", [timed(lambda: _deep(count)) for _ in some]
    yield (
        "history of a quota",
        [timed(lambda: history("quota", str(event["number"] % 500))) for event in some],  # noqa: B023
    )
    yield (
        "export of 10,000",
        [timed(lambda: _taken(export_rows(events, parsed=False))) for _ in some[:5]],
    )


def _deep(count: int) -> object:
    number = int(count * (1 - DEEP))
    uid = f"evt_{md5(str(number).encode()).hexdigest()[:18]}"  # noqa: S324
    event = Event.objects.only("at").get(uid=uid)
    place = f"{int(event.at.timestamp() * 1_000_000)}-{event.pk}"
    request = RequestFactory().get("/audit/", {"before": place})
    return keyset_by_time(Event.objects.defer("body"), request)


def _taken(rows: Iterator[list[Any]]) -> None:
    for _ in zip(range(10_000), rows, strict=False):
        pass


def sizes() -> dict[str, int]:
    """Bytes of each index over all months, and of the rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.relname, sum(pg_relation_size(c.oid)) FROM pg_class c "
            "JOIN pg_inherits ON inhrelid = c.oid JOIN pg_class p ON p.oid = inhparent "
            "WHERE p.relname LIKE ANY (ARRAY['audit_event', 'audit_event_pkey', "
            "'event_%%']) GROUP BY 1 ORDER BY 2 DESC",
            [],
        )
        return {str(name): int(size) for name, size in cursor.fetchall()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    use(arguments.events)
    for name, figures in measure(arguments.events, rounds=arguments.rounds):
        show("explorer", events=arguments.events, query=name, **spread(figures))
    show("explorer_sizes", events=arguments.events, bytes=sizes())


if __name__ == "__main__":
    main()
