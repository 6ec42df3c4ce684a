"""Audit events for tests, written by the real service."""

from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection
from django.db.backends.utils import CursorWrapper

from audit.actor import Actor, Target
from audit.models import Event, SavedView
from audit.registry import EventKind, known
from audit.services.record import record
from audit.services.sealing import Sealer
from audit.signing import FileSigner

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
SEAL_KEY = FileSigner(
    "tollgate.test/audit", Ed25519PrivateKey.from_private_bytes(bytes(32))
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


class _AtOnce(Sealer):
    """Seals what the test's own transaction has written and never commits, too."""

    def _horizon(self, cursor: CursorWrapper) -> int:
        return 2**62


def seal_events(*, batch: int = 10_000, at: datetime = AT) -> int:
    """Seal what there is, signed by ``SEAL_KEY``; how many events that was."""
    kind = _AtOnce if connection.in_atomic_block else Sealer
    sealer, total = kind([SEAL_KEY], batch=batch), 0
    while sealed := sealer.seal(at=at):
        total += sealed
    return total


def make_view(
    name: str = "Refusals", *, query: str = "q=decision%3Adeny", shared: bool = True
) -> SavedView:
    """A saved view of nobody in particular."""
    return SavedView.objects.create(
        name=name, owner="user:nobody", query=query, shared=shared, created_at=AT
    )
