"""``manage.py seal_audit``: seals the trail about every second, until it is stopped."""

import logging
import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connection

from audit import tree
from audit.anchors import anchor_file
from audit.services import sealing
from audit.signing import new_key, signers
from core.clock import now
from core.errors import TollgateError

logger = logging.getLogger(__name__)

_LONGEST_PAUSE = 15.0


class Command(BaseCommand):
    help = "Give events their place in the signed tree; run one such process."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        one = parser.add_mutually_exclusive_group()
        one.add_argument("--once", action="store_true", help="seal what waits, and end")
        one.add_argument(
            "--new-key", metavar="FILE", type=Path, help="make a key to sign with"
        )
        one.add_argument(
            "--public", action="store_true", help="show the public keys in use"
        )
        one.add_argument(
            "--lag",
            metavar="SECONDS",
            type=int,
            help="only look: fail when an event has waited for longer",
        )
        one.add_argument(
            "--accept-restore",
            metavar="REASON",
            help="go on after the database was restored from a backup on purpose",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            if options["new_key"]:
                self._new_key(options["new_key"])
            elif options["public"]:
                for signer in signers():
                    self.stdout.write(str(signer.key))
            elif options["lag"] is not None:
                self._look(options["lag"])
            elif options["accept_restore"]:
                self._accept(options["accept_restore"])
            elif options["once"]:
                self.stdout.write(f"sealed {sealing.seal_waiting(at=now())} events")
            else:
                _run()
        except TollgateError as error:
            raise CommandError(error.message) from error

    def _new_key(self, path: Path) -> None:
        try:
            made = new_key(path, settings.AUDIT_ORIGIN)
        except OSError as error:
            raise CommandError(f"{path} was not made: {error}") from error
        self.stdout.write(str(made.key))

    def _look(self, most: int) -> None:
        lag = tree.state().lag_seconds(now())
        if lag > most:
            raise CommandError(f"an event has waited for {lag:.0f} s to be sealed")
        self.stdout.write(f"{lag:.1f} s")

    def _accept(self, reason: str) -> None:
        kept = sealing.accept_restore(reason=reason, anchor=anchor_file(), at=now())
        self.stdout.write(
            f"The checkpoint that no longer fits is kept in {kept}."
            if kept
            else "There was no checkpoint to put aside."
        )


def _run() -> None:
    """Seal until SIGTERM; a database that is away is waited for."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sealer = sealing.sealer()
    failures = 0
    while not stop.is_set():
        try:
            full = sealer.seal(at=now()) == sealer.batch
            failures = 0
        except Error as error:
            failures += 1
            if failures == 1:
                logger.warning("sealing waits for the database: %s", error)
            connection.close()
            sealer, full = sealing.sealer(), False
        if not full:
            stop.wait(min(settings.AUDIT_SEAL_SECONDS * 2**failures, _LONGEST_PAUSE))
