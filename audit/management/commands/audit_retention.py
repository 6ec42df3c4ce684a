"""``manage.py audit_retention``: what may be dropped, exports and drops of months."""

import getpass
from argparse import ArgumentParser
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.actor import Actor
from audit.months import months
from audit.services.retention import drop_month, export_month
from core.clock import now
from core.errors import TollgateError


class Command(BaseCommand):
    """Works as the owner of the tables, see ``manage.py``."""

    help = "List the trail's months; export one to a file; drop one for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("plan", help="what is there, and what keeps each month")
        export = steps.add_parser("export", help="write a month's events to a file")
        export.add_argument("month", type=_month, help="such as 2026-03")
        export.add_argument("--directory", type=Path)
        drop = steps.add_parser("drop", help="drop a month that was exported")
        drop.add_argument("month", type=_month, help="such as 2026-03")
        drop.add_argument("--reason", required=True)

    def handle(self, *_: Any, step: str, **options: Any) -> None:
        try:
            if step == "plan":
                self._plan()
            elif step == "export":
                self._export(options["month"], options["directory"])
            else:
                self._drop(options["month"], options["reason"])
        except TollgateError as error:
            raise CommandError(error.message) from error

    def _plan(self) -> None:
        for one in months(at=now()):
            about = "" if one.exact else "about "
            self.stdout.write(
                f"{one.name}  {about}{one.rows:,} events, {one.bytes / 1024**2:,.1f} "
                f"MiB: {one.why or 'may be dropped'}"
            )

    def _export(self, month: date, directory: Path | None) -> None:
        made = export_month(month=month, actor=_operator(), at=now(), folder=directory)
        self.stdout.write(f"{made.events:,} events in {made.file}")
        self.stdout.write(f"SHA-256 {made.sha256}")

    def _drop(self, month: date, reason: str) -> None:
        gone = drop_month(month=month, reason=reason, actor=_operator(), at=now())
        self.stdout.write(f"{month:%Y-%m} was dropped: {gone:,} events.")


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def _operator() -> Actor:
    name = "unknown"
    with suppress(KeyError, OSError):
        name = getpass.getuser()
    return Actor("system", f"cli:{name}", f"{name} at the command line")
