"""``manage.py policy export|diff|apply``: keeps the rules in git."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.clock import now
from core.errors import TollgateError
from policy import documents
from policy.rule_diff import ADDED, REMOVED, Change, Document, diff
from policy.services import drafts
from policy.services.cli import operator
from policy.services.rules import checked, live

DIFFERS = 2
PROPOSED = 3
_MARKS = {ADDED: "+", REMOVED: "-"}


class Command(BaseCommand):
    help = (
        "Export the live rules as YAML; compare a document with them; make it live. "
        f"diff and apply --dry-run exit with {DIFFERS} where something differs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        exported = acts.add_parser("export", help="the live rules as YAML")
        exported.add_argument("--output", default="-", help="a file, else to stdout")
        compared = acts.add_parser("diff", help="what a document would change")
        compared.add_argument("file", help="a YAML or JSON document, - for stdin")
        applied = acts.add_parser("apply", help="make a document the live rules")
        applied.add_argument("file", help="a YAML or JSON document, - for stdin")
        applied.add_argument("--reason", required=True, help="for the audit trail")
        applied.add_argument("--dry-run", action="store_true")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            code = self._act(options)
        except TollgateError as error:
            problems = error.details.get("problems", ())
            lines = [
                f"{one['rule']}: {one['field']}: {one['message']}" for one in problems
            ]
            raise CommandError("\n".join(lines) or error.message) from None
        if code:
            sys.exit(code)

    def _act(self, options: dict[str, Any]) -> int:
        before = live()
        if options["act"] == "export":
            text = documents.write(before.rules, version=before.version)
            if options["output"] == "-":
                self.stdout.write(text, ending="")
            else:
                Path(options["output"]).write_text(text, encoding="utf-8")
            return 0
        rules = checked(documents.read(_text(options["file"])))
        changes = diff(before.rules, rules)
        self._show(changes, before.version)
        if options["act"] == "diff" or options["dry_run"]:
            return DIFFERS if changes else 0
        return self._apply(rules, options["reason"]) if changes else 0

    def _apply(self, rules: Sequence[Document], reason: str) -> int:
        draft = drafts.put_live(
            name="Applied at the command line",
            rules=rules,
            reason=reason,
            actor=operator(),
            at=now(),
        )
        if draft.version is None:
            self.stdout.write(
                f"Proposed as {draft.uid}: another administrator has to publish it."
            )
            return PROPOSED
        self.stdout.write(f"Version {draft.version} is live.")
        return 0

    def _show(self, changes: Sequence[Change], version: int) -> None:
        if not changes:
            self.stdout.write(f"Nothing differs from version {version}.")
        for one in changes:
            self.stdout.write(f"{_MARKS.get(one.kind, '~')} {one.rule}")
            for name, (was, becomes) in one.fields.items():
                self.stdout.write(f"    {name}: {was!r} -> {becomes!r}")


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from None
