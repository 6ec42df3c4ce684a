"""``manage.py migrate``: Django's own, and then the application role's rights."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connection

from core.database_roles import grant_to
from core.errors import TollgateError


class Command(migrate.Command):
    """Runs as the owner of the tables, see ``manage.py``."""

    def handle(self, *arguments: Any, **options: Any) -> None:
        super().handle(*arguments, **options)
        role = settings.DATABASE_ROLE
        if role in {"", connection.settings_dict["USER"]}:
            return
        if options["plan"] or options["check_unapplied"]:
            return
        try:
            tables = grant_to(role)
        except TollgateError as error:
            raise CommandError(error.message) from error
        if options["verbosity"]:
            self.stdout.write(f"Granted {role} its rights on {tables} tables.")
