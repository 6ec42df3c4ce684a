"""``manage.py approvals list|approve|reject``: decides at a terminal."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.clock import now
from core.errors import TollgateError
from gateway.selectors.approvals import in_state, state_of
from gateway.services.holds import decide_approval
from policy.models import Approval
from policy.services.cli import operator

_ALL = "all"


class Command(BaseCommand):
    help = "List what waits for an approval; approve or reject a call."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        shown = acts.add_parser("list", help="one JSON object a line, newest first")
        shown.add_argument(
            "--state", default="pending", choices=[*Approval.State.values, _ALL]
        )
        shown.add_argument("--team", default="", help="a team's short name")
        shown.add_argument("--limit", type=int, default=100)
        for act in ("approve", "reject"):
            decided = acts.add_parser(act)
            decided.add_argument("uid")
            decided.add_argument("--reason", required=True)

    def handle(self, *_: Any, **options: Any) -> None:
        if options["act"] == "list":
            self._list(options["state"], options["team"], options["limit"])
            return
        try:
            approval = decide_approval(
                uid=options["uid"],
                approve=options["act"] == "approve",
                reason=options["reason"],
                actor=operator(),
                at=now(),
            )
        except TollgateError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{approval.uid} is {approval.state}: {approval.run} goes on")

    def _list(self, state: str, team: str, limit: int) -> None:
        at = now()
        found = Approval.objects.all()
        if state != _ALL:
            found = in_state(found, state, at=at)
        if team:
            found = found.filter(team=team)
        for one in found.order_by("-pk")[:limit]:
            line = {
                "approval": one.uid,
                "state": state_of(one, at=at),
                "tool": one.tool,
                "arguments": one.arguments,
                "run": one.run,
                "step": one.step,
                "team": one.team,
                "environment": one.environment,
                "requesters": one.requesters,
                "expires_at": one.expires_at.isoformat(),
                "reason": one.reason,
            }
            self.stdout.write(json.dumps(line))
