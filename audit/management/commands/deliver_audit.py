"""``manage.py deliver_audit``: brings the sealed trail to its sinks."""

import signal
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.services.deliverer import Deliverer, deliver_all
from audit.sink_states import without_turn
from core.clock import now


class Command(BaseCommand):
    help = "Deliver sealed audit events to the sinks, until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="deliver what is sealed, then end"
        )

        parser.add_argument(
            "--alive",
            type=float,
            metavar="SECONDS",
            help="fail when a sink that is on has had no turn for so long; for probes",
        )

    def handle(self, *_: Any, once: bool, alive: float | None, **__: Any) -> None:
        if alive is not None:
            if names := without_turn(seconds=alive, at=now()):
                raise CommandError(f"nobody serves {', '.join(names)}")
            return
        if once:
            self.stdout.write(f"{deliver_all()} delivered")
            return
        deliverer = Deliverer()

        def stop(*_: int | FrameType | None) -> None:
            deliverer.stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        deliverer.run()
        deliverer.stop()
