"""``manage.py export_chargeback``: a month's statements as a file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.clock import now
from core.errors import TollgateError
from core.money import total
from finops.chargeback.months import named
from finops.exports.tabular import billed_amount
from finops.services.chargeback_exports import FORMS, write_month
from policy.services.cli import operator


class Command(BaseCommand):
    help = (
        "Export the statements of a month. FOCUS is written into a directory, or as an "
        "archive where the output ends in .zip. A month that is open gives drafts."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--period", required=True, help="the month, YYYY-MM")
        parser.add_argument("--format", required=True, choices=FORMS)
        parser.add_argument("--output", required=True, type=Path)

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            content = write_month(
                month=named(options["period"]),
                form=options["format"],
                output=options["output"],
                actor=operator(),
                at=now(),
            )
        except (TollgateError, OSError) as error:
            raise CommandError(str(error)) from None
        month = content.month
        whole = total(one.total for one in content.documents)
        billed = billed_amount(month.currency, whole)
        self.stdout.write(
            f"{'Closed' if month.closed else 'DRAFT'}: {month.name}, "
            f"{len(content.documents)} statements, {billed} {month.currency}, "
            f"written to {options['output']}."
        )
        if content.unrated:
            self.stdout.write(
                f"{content.unrated} quantities without a price are in no file: see "
                "Usage without a price."
            )
