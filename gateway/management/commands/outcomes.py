"""``manage.py outcomes list|resolve``: says at a terminal what became of a write."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.clock import now
from core.errors import TollgateError
from gateway.hold_forms import OutcomeForm
from gateway.models import ToolCall
from gateway.selectors.outcomes import (
    OPEN,
    STATES,
    all_outcomes,
    in_state,
    safe_from,
    state_of,
)
from gateway.services.holds import resolve
from policy.services.cli import operator


class Command(BaseCommand):
    help = "List writes whose outcome nobody knows; say what became of one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        shown = acts.add_parser("list", help="one JSON object a line, newest first")
        shown.add_argument(
            "--state", default=OPEN, choices=[value for value, _ in STATES]
        )
        shown.add_argument("--team", default="", help="a team's short name")
        shown.add_argument("--limit", type=int, default=100)
        decided = acts.add_parser("resolve")
        decided.add_argument("id", type=int)
        decided.add_argument("resolution", choices=ToolCall.Resolution.values)
        decided.add_argument("--reason", required=True)
        decided.add_argument(
            "--value", default="", metavar="JSON", help="what the call returned"
        )

    def handle(self, *_: Any, **options: Any) -> None:
        if options["act"] == "list":
            self._list(options["state"], options["team"], options["limit"])
            return
        form = OutcomeForm(options)
        if not form.is_valid():
            said = [text for texts in form.errors.values() for text in texts]
            raise CommandError(" ".join(map(str, said)))
        try:
            call = resolve(
                call_id=options["id"], actor=operator(), at=now(), **form.cleaned_data
            )
        except TollgateError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{call.run.uid}, step {call.step}: {call.resolution}")

    def _list(self, state: str, team: str, limit: int) -> None:
        found = in_state(all_outcomes(), state)
        if team:
            found = found.filter(run__team=team)
        for call in found.order_by("-pk")[:limit]:
            line = {
                "id": call.pk,
                "state": state_of(call),
                "tool": call.tool,
                "arguments": call.arguments,
                "run": call.run.uid,
                "step": call.step,
                "team": call.run.team,
                "environment": call.run.environment,
                "sent_at": call.intent_at.isoformat(),
                "decide_from": safe_from(call).isoformat(),
                "resolution": call.resolution,
                "because": call.resolved_because,
            }
            self.stdout.write(json.dumps(line))
