"""``manage.py prices export|import|models``: the price book as a file."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.clock import now
from core.errors import TollgateError
from core.exports import csv_lines
from finops.price_csv import COLUMNS, parse, row_of
from finops.price_plan import Line, Plan
from finops.public_prices import SOURCE, provider_ids, published
from finops.selectors.prices import known_prices
from finops.services.prices import bring_in, digest_of, line_of, preview
from policy.services.cli import operator


class Command(BaseCommand):
    help = (
        "Export the price book as CSV; bring in a CSV file, or the public prices of "
        "models (genai-prices). Shows the difference, and changes nothing without "
        "--apply."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        acts.add_parser("export", help="what stands in the book now, to stdout")
        files = acts.add_parser("import", help="prices from a CSV file")
        files.add_argument("file", help="a CSV file, - for stdin")
        models = acts.add_parser("models", help="public prices of models")
        models.add_argument(
            "--provider", action="append", required=True, choices=provider_ids()
        )
        for one in (files, models):
            one.add_argument("--apply", action="store_true", help="change the book")
            one.add_argument("--reason", default="", help="for the audit trail")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            self._act(options)
        except TollgateError as error:
            mistakes = error.details.get("mistakes") or [error.message]
            raise CommandError("\n".join(mistakes)) from None

    def _act(self, options: dict[str, Any]) -> None:
        if options["act"] == "export":
            lines = map(line_of, known_prices())
            rows = (row_of(line) for line in lines)
            self.stdout.write("".join(csv_lines(COLUMNS, rows)), ending="")
            return
        if options["act"] == "models":
            found, source = published(options["provider"]), SOURCE
        else:
            name = options["file"]
            text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
            zone = settings.REPORT_TIME_ZONE
            found, source = parse(text, currency=settings.CURRENCY, zone=zone), "CSV"
        self._bring_in(found, source, options)

    def _bring_in(
        self, lines: Sequence[Line], source: str, options: dict[str, Any]
    ) -> None:
        planned = preview(lines)
        self._show(planned)
        if not options["apply"] or not planned.added:
            return
        bring_in(
            lines=lines,
            source=source,
            reason=options["reason"],
            actor=operator(),
            at=now(),
            looked_at=digest_of(planned),
        )
        self.stdout.write("Applied. Usage that is booked keeps its cost.")

    def _show(self, planned: Plan) -> None:
        for change in planned.changes:
            line = change.line
            before = (
                "new"
                if change.before is None
                else f"{change.before:f} {change.currency_before}"
            )
            self.stdout.write(
                f"{line.sku} {line.hours} from {line.valid_from:%Y-%m-%d}: "
                f"{before} -> {line.amount:f} {line.currency} a {line.unit}"
            )
        self.stdout.write(f"{len(planned.changes)} to change, {planned.same} as is.")
