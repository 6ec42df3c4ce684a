"""``manage.py deliver_audit``: brings the sealed trail to its sinks."""

import signal
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.services.deliverer import Deliverer, deliver_all


class Command(BaseCommand):
    help = "Deliver sealed audit events to the sinks, until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="deliver what is sealed, then end"
        )

    def handle(self, *_: Any, once: bool, **__: Any) -> None:
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
