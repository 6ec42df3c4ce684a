"""``manage.py doctor``: checks each part and says how to mend what fails."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from gateway.diagnosis import diagnose


class Command(BaseCommand):
    help = "Check PostgreSQL, Redis, workers, sandboxes, clock, keys and disk."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        failed = 0
        for finding in diagnose():
            mark = (
                self.style.SUCCESS("ok  ") if finding.ok else self.style.ERROR("FAIL")
            )
            self.stdout.write(f"{mark} {finding.part}: {finding.found}")
            if not finding.ok:
                failed += 1
                self.stdout.write(f"     → {finding.advice}")
        if failed:
            sys.exit(1)
