"""``manage.py verify_audit``: whether the trail is whole, unchanged and anchored."""

import json
import sys
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error
from django.utils.dateparse import parse_date, parse_datetime

from audit.actor import SYSTEM
from audit.evidence import bundles
from audit.findings import FAILED, Report
from audit.services import verification
from audit.services.verification import Basis
from audit.signing import keys_in
from core.clock import now
from core.errors import TollgateError

FOUND, COULD_NOT = 1, 2


class Command(BaseCommand):
    help = (
        "Verify the audit trail against the keys that are trusted here. Exit code 0: "
        "nothing found, 1: findings, 2: could not verify."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--event", metavar="UID", help="one event alone")
        what.add_argument(
            "--since-last",
            action="store_true",
            help="what was sealed since the last verification without findings",
        )
        what.add_argument(
            "--bundle",
            metavar="FILE",
            type=Path,
            help="a downloaded evidence bundle; needs no database",
        )
        parser.add_argument("--from", dest="first", metavar="TIME", type=_time)
        parser.add_argument("--to", dest="last", metavar="TIME", type=_time)
        parser.add_argument(
            "--checkpoint",
            metavar="FILE",
            type=Path,
            action="append",
            default=[],
            help="a file with checkpoints kept elsewhere, such as a sink's; repeatable",
        )
        parser.add_argument(
            "--trusted-key",
            metavar="FILE",
            type=Path,
            action="append",
            default=[],
            help="public keys to trust instead of the configured ones; repeatable",
        )
        parser.add_argument("--json", action="store_true", help="the report as JSON")
        parser.add_argument(
            "--keep", action="store_true", help="show the result on the page Verify"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            report = _verify(options)
            if options["keep"] and report.kind in {
                verification.WHOLE,
                verification.SINCE,
                verification.RANGE,
            }:
                verification.keep(report, actor=SYSTEM, at=now(), recorded=True)
        except TollgateError as error:
            raise CommandError(error.message, returncode=COULD_NOT) from error
        except (Error, OSError) as error:
            text = f"could not verify: {error}".strip()
            raise CommandError(text, returncode=COULD_NOT) from error
        if options["json"]:
            self.stdout.write(json.dumps(_as_dict(report), ensure_ascii=False))
        else:
            self._show(report)
        if not report.passed:
            sys.exit(FOUND)

    def _show(self, report: Report) -> None:
        rate = report.events / report.seconds if report.seconds else 0
        self.stdout.write(
            f"{report.kind}: {report.events:,} events, leaves {report.first:,} to "
            f"{report.size:,}, in {report.seconds:.1f} s ({rate:,.0f}/s)"
        )
        for key in report.keys:
            self.stdout.write(f"signed by {key}")
        for month in report.dropped:
            self.stdout.write(f"{month}: dropped by tombstone")
        for name, verdict in report.verdicts.items():
            style = self.style.ERROR if verdict == FAILED else self.style.SUCCESS
            self.stdout.write(f"{name:<13}{style(verdict)}")
        for finding in report.findings:
            self.stdout.write(f"  {finding.code}: {finding.text}")
        if hidden := report.counts.total() - len(report.findings):
            self.stdout.write(f"  … and {hidden} more")


def _verify(options: dict[str, Any]) -> Report:
    keys = [key for path in options["trusted_key"] for key in keys_in(path)]
    basis = verification.basis(keys=keys, files=options["checkpoint"])
    at = now()
    if options["bundle"]:
        return bundles.verify(options["bundle"], Basis(basis.trusted), at=at)
    if options["event"]:
        return verification.verify_event(basis, options["event"], at=at)
    if options["since_last"]:
        return verification.verify_since_last(basis, at=at)
    if options["first"] or options["last"]:
        return verification.verify_range(
            basis, first=options["first"], last=options["last"], at=at
        )
    return verification.verify_whole(basis, at=at)


def _as_dict(report: Report) -> dict[str, Any]:
    return {
        "kind": report.kind,
        "first": report.first,
        "size": report.size,
        "events": report.events,
        "sealed_at": report.sealed_at.isoformat() if report.sealed_at else None,
        "seconds": round(report.seconds, 3),
        "keys": report.keys,
        "dropped": report.dropped,
        **report.verdicts,
        "counts": dict(report.counts),
        "findings": [finding.as_dict() for finding in report.findings],
    }


def _time(text: str) -> datetime:
    """A day, or a time with its zone; without one, UTC."""
    day = parse_date(text) if len(text) <= 10 else None
    moment = datetime.combine(day, time()) if day else parse_datetime(text)
    if moment is None:
        raise ValueError(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
