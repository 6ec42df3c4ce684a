"""``manage.py audit_events``: the page that lists every kind of event."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils.module_loading import autodiscover_modules

from audit.registry import as_markdown


class Command(BaseCommand):
    help = "Print docs/audit-events.md."
    requires_system_checks: list[str] = []

    def handle(self, *_: Any, **__: Any) -> None:
        autodiscover_modules("events")
        self.stdout.write(as_markdown(), ending="")
