"""Legal holds for tests, set by the real service."""

from datetime import date

from audit.models import Hold
from audit.services.holds import set_hold
from core.clock import now
from tests.builders.identity import ACTOR


def make_hold(title: str = "Case 7", first: date = date(2026, 3, 1)) -> Hold:
    """A hold without an end."""
    return set_hold(
        title=title, reason="asked for", first=first, last=None, actor=ACTOR, at=now()
    )
