"""``manage.py run_code FILE --team T``: runs a script and prints its envelope."""

import json
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.clock import now
from core.errors import TollgateError
from gateway.models import Run
from gateway.services import runs
from gateway.services.envelope import envelope
from policy.models import ApiKey
from policy.principal import Principal
from policy.services.keys import principal_of

_LOOK_SECONDS = 0.05


class Command(BaseCommand):
    help = (
        "Run a script as a team's service account, through the same queue and "
        "sandbox as every other run. FILE may be - for standard input."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file")
        parser.add_argument("--team", required=True, help="the team's short name")
        parser.add_argument(
            "--key", default="", help="prefix of the key to act as (tg_…); else any"
        )
        parser.add_argument("--task", default="")
        parser.add_argument("--wait", type=float, default=120.0, metavar="SECONDS")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            run = runs.submit(
                principal=_principal(options["team"], options["key"]),
                code=_read(options["file"]),
                task=options["task"],
                at=now(),
            )
        except TollgateError as error:
            raise CommandError(error.message) from None
        until = time.monotonic() + options["wait"]
        while not run.ended and time.monotonic() < until:
            time.sleep(_LOOK_SECONDS)
            run = Run.objects.get(pk=run.pk)
        self.stdout.write(json.dumps(envelope(run), indent=2, ensure_ascii=False))
        if run.status != Run.Status.SUCCEEDED:
            sys.exit(1)


def _read(name: str) -> str:
    if name == "-":
        return sys.stdin.read()
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CommandError(f"{name} is no UTF-8 text.") from None


def _principal(team: str, prefix: str) -> Principal:
    keys = (
        ApiKey.objects.usable(at=now())
        .select_related("service_account__team", "environment", "project")
        .filter(service_account__team__slug=team, prefix__startswith=prefix)
        .order_by("pk")
    )
    key = next((key for key in keys if "runs:execute" in key.scopes), None)
    if key is None:
        raise CommandError(
            f"Team {team} has no usable key with runs:execute: make one with "
            f"manage.py create_key --team {team} --name NAME."
        )
    return principal_of(key)
