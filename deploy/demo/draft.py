"""Begins the demo's open draft of the rules, and replays it over the traffic.

``python -m deploy.demo.draft``, once there are calls; without effect on an installation
in which somebody has begun a draft.
"""

import os
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from audit.actor import SYSTEM  # noqa: E402 - needs the app registry
from core.clock import now  # noqa: E402
from gateway.services import policy_replay  # noqa: E402
from policy import documents, rule_sets  # noqa: E402
from policy.services import drafts  # noqa: E402
from policy.services.rules import live  # noqa: E402

NAME = "Fewer surprises in production"
FILE = Path(__file__).parent / "draft.yaml"


def main() -> int:
    """Begin it, change it as an editor does, and see what it would have changed."""
    if rule_sets.drafts(only_open=True).exists():
        return 0
    at = now()
    changed = {one["id"]: one for one in documents.read(FILE.read_text())}
    kept = [one for one in live().rules if one["id"] not in changed]
    draft = drafts.begin(
        name=NAME, rules=[*kept, *changed.values()], actor=SYSTEM, at=at
    )
    replay = policy_replay.ask(draft=draft.uid, days=7, teams=None, actor=SYSTEM, at=at)
    found = replay.result or {}
    print(f"{found.get('changed')} of {replay.examined} decisions would change")
    return 0


if __name__ == "__main__":
    sys.exit(main())
