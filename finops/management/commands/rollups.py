"""Sums and sketches of days: makes them anew, catches up, says how far they are."""

import json
from argparse import ArgumentParser
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.clock import now
from finops.models import DayFigures, DaySketch, DirtyDay, RollupState
from finops.services import rollups, task_facts


class Command(BaseCommand):
    help = "Sums and sketches that reports of many runs are read from."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("status", help="which days are made, as JSON")
        actions.add_parser("backfill", help="make the days that are not made yet")
        again = actions.add_parser(
            "rebuild", help="make task facts, sums and sketches anew from raw facts"
        )
        for name in ("--from", "--to"):
            again.add_argument(
                name, type=date.fromisoformat, help="a day, included; all without"
            )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "status":
            self.stdout.write(json.dumps(_status()))
            return
        at = now()
        made = 0
        if options["action"] == "rebuild":
            first, last = options["from"], options["to"]
            if first and last and last < first:
                raise CommandError("The first day comes after the last: swap them.")
            self.stderr.write(f"{_rebuild_tasks(at, first, last)} tasks made anew.")
            end = last and last + timedelta(days=1)
            made = rollups.rebuild(at=at, start=first, end=end)
        made += rollups.keep_up(at=at, most=100_000, wait=True)
        self.stderr.write(f"{made} days made.")
        self.stdout.write(json.dumps(_status()))


def _rebuild_tasks(at: datetime, first: date | None, last: date | None) -> int:
    """Day by day, since runs cannot end while it happens."""
    zone = ZoneInfo(settings.REPORT_TIME_ZONE)
    day = first or rollups.first_day(at)
    end = last or at.astimezone(zone).date()
    made = 0
    while day <= end:
        start = datetime.combine(day, time(), zone)
        day += timedelta(days=1)
        made += task_facts.rebuild(start=start, end=datetime.combine(day, time(), zone))
    return made


def _status() -> dict[str, Any]:
    state = RollupState.objects.filter(pk=1).first()
    return {
        "zone": state.zone if state else settings.REPORT_TIME_ZONE,
        "first": str(state.first) if state and state.first else None,
        "upto": str(state.upto) if state and state.upto else None,
        "changed_days": DirtyDay.objects.values("day").distinct().count(),
        "sums": DayFigures.objects.count(),
        "sketches": DaySketch.objects.count(),
    }
