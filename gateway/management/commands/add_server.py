"""``manage.py add_server NAME --url URL | --stdio CMD``: adds and syncs a server."""

import shlex
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.actor import SYSTEM
from core.clock import now
from core.errors import TollgateError
from gateway.connectors.pool import UpstreamPool
from gateway.models import Server
from gateway.services import catalog, sync


class Command(BaseCommand):
    help = (
        "Add an MCP server and import its tools. New tools count as writes and are "
        "offered nowhere until somebody reviews them in the catalog."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what scripts import it as")
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--url", default="", help="streamable HTTP endpoint")
        where.add_argument("--stdio", default="", help="command that starts the server")
        parser.add_argument(
            "--header", action="append", default=[], metavar="NAME: VALUE"
        )
        parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
        parser.add_argument("--description", default="")
        parser.add_argument("--timeout", type=float, default=30.0, metavar="SECONDS")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            server = catalog.add_server(
                name=options["name"],
                transport="http" if options["url"] else "stdio",
                url=options["url"],
                command=shlex.split(options["stdio"]),
                secrets=_pairs(options["header"], ":") | _pairs(options["env"], "="),
                description=options["description"],
                timeout_seconds=options["timeout"],
                actor=SYSTEM,
                at=now(),
            )
        except TollgateError as error:
            raise CommandError(error.message) from None
        self._sync(server)

    def _sync(self, server: Server) -> None:
        pool = UpstreamPool()
        try:
            report = sync.sync_server(
                server_id=server.pk, upstream=pool, actor=SYSTEM, at=now()
            )
        finally:
            pool.close()
        if report.error:
            raise CommandError(
                f"{server.name} is kept as a draft, since it could not be reached: "
                f"{report.error}. Mend it on its page, "
                f"/catalog/servers/{server.name}/, and sync it there."
            )
        self.stdout.write(f"{server.name}: {report.added} tools imported")
        for name, reason in report.refused:
            self.stdout.write(f"  refused {name}: {reason}")
        self.stdout.write(
            f"Next, on its page (/catalog/servers/{server.name}/): enable the tools in "
            "an environment and grant the server to a team, else no agent sees them; "
            "and confirm what they may do, since they count as writes until then."
        )


def _pairs(words: list[str], between: str) -> dict[str, str]:
    pairs = {}
    for word in words:
        name, found, value = word.partition(between)
        if not found or not name.strip():
            raise CommandError(f"Write NAME{between}VALUE instead of {name!r}.")
        pairs[name.strip()] = value.strip()
    return pairs
