"""Audit events for tests, written by the real service."""

from datetime import UTC, datetime
from typing import Any

from audit.actor import Actor, Target
from audit.models import Event
from audit.registry import EventKind, known
from audit.services.record import record

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
AGENT = Actor(
    "service_account",
    "sa:sales/agent",
    "agent",
    team="sales",
    environment="dev",
    key="tg_0123abcd",
    address="127.0.0.1",
    request_id="req_test",
)
TEST_EVENT = EventKind("team.changed", "{actor} changed team {target}")


def make_event(
    kind: EventKind | str = TEST_EVENT,
    *,
    actor: Actor = AGENT,
    at: datetime = AT,
    target: Target | None = None,
    **details: Any,
) -> Event:
    """One event; ``details`` are those of ``audit.services.record.build``."""
    return record(
        known()[kind] if isinstance(kind, str) else kind,
        actor=actor,
        at=at,
        target=target or Target("team", "sales", "Sales"),
        **details,
    )
