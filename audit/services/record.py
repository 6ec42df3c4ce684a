"""The one way into the trail."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from django.conf import settings
from django.db import connection

from audit.actor import Actor, Target
from audit.models import Event
from audit.redact import redact
from audit.registry import EventKind
from core.canonical import canonical
from core.ids import new_id
from core.prepared import insert

logger = logging.getLogger(__name__)

ALLOW = "allow"
DENY = "deny"


def build(
    event: EventKind,
    *,
    actor: Actor,
    at: datetime,
    target: Target | None = None,
    decision: str = "",
    reasons: Sequence[str] = (),
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    payload: Mapping[str, Any] | None = None,
    tool: str = "",
    run: str = "",
    step: int | None = None,
    policy_version: int | None = None,
) -> Event:
    """An event that is ready to be saved; arguments are redacted here.

    ``payload``, ``before`` and ``after`` are JSON mappings. Use ``record`` unless
    several events are saved in one statement.
    """
    if unknown := event.unknown(payload or ()):
        _complain(event, unknown)
    body = redact(
        {
            "uid": new_id("evt", characters=18),
            "at": at.isoformat(),
            "name": event.name,
            "version": event.version,
            "target": _as_dict(target) if target else None,
            "decision": decision,
            "reasons": list(reasons),
            "before": dict(before) if before is not None else None,
            "after": dict(after) if after is not None else None,
            "payload": dict(payload or {}),
            "tool": tool,
            "run": run,
            "step": step,
            "policy_version": policy_version,
        }
    ) | {"actor": _as_dict(actor)}
    return _row(event, actor, at, body)


def _complain(event: EventKind, keys: Sequence[str]) -> None:
    """A mistake of ours is found in tests, and loses no event where it matters."""
    problem = f"audit event {event.name} has no payload {', '.join(map(str, keys))}"
    if not settings.PRODUCTION:
        raise ValueError(f"{problem}: name it where the kind is registered")
    logger.error(problem)


def _row(event: EventKind, actor: Actor, at: datetime, body: dict[str, Any]) -> Event:
    """The columns come from the redacted body.

    PostgreSQL refuses some text that a script may send, and no event may be lost to it.
    """
    shown = body["target"] or {"kind": "", "id": "", "label": ""}
    words = {
        **body["payload"],
        "actor": actor.label,
        "target": shown["label"],
        "tool": body["tool"],
        "run": body["run"],
        "decision": body["decision"],
        "reasons": "; ".join(body["reasons"]),
    }
    summary = event.summary(words)
    return Event(
        uid=body["uid"],
        at=at,
        name=event.name,
        decision=body["decision"],
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:200],
        team=actor.team,
        environment=actor.environment,
        key=actor.key[:40],
        target_kind=shown["kind"],
        target_id=shown["id"][:120],
        target_label=shown["label"][:200],
        tool=body["tool"][:200],
        run=body["run"],
        step=body["step"],
        request_id=actor.request_id,
        trace_id=actor.trace_id[:32],
        client_address=actor.address[:60],
        policy_version=body["policy_version"],
        summary=summary,
        body=canonical(body | {"summary": summary}).decode(),
    )


@lru_cache(4_096)
def _as_dict(snapshot: Actor | Target) -> dict[str, Any]:
    """For reading only: the same few stand in thousands of events."""
    return asdict(snapshot)


def record(event: EventKind, *, actor: Actor, at: datetime, **details: Any) -> Event:
    """Save one event in the running transaction; takes what ``build`` takes.

    A mutation calls it inside its own ``transaction.atomic``: when the event cannot
    be written, the change does not happen either. A denial is recorded outside any
    transaction, so that no rollback can erase it.
    """
    row = build(event, actor=actor, at=at, **details)
    save(row)
    return row


def save(event: Event) -> None:
    """Write an event that ``build`` made, in the running transaction."""
    insert(event)


_FIELDS = [field for field in Event._meta.concrete_fields if not field.primary_key]
_COLUMNS = ", ".join(str(field.column) for field in _FIELDS)


def insert_from(event: Event, *, source: str) -> tuple[str, list[Any]]:
    """An INSERT of ``event`` for each row of ``source``, to be part of a statement.

    For the hot path: a call's journal row and its event are one statement, so that
    neither is ever there without the other, in one round trip.
    """
    return _insert_sql(source), [getattr(event, field.attname) for field in _FIELDS]


@cache
def _insert_sql(source: str) -> str:
    values = ", ".join(["%s::" + str(field.db_type(connection)) for field in _FIELDS])
    return (
        f"INSERT INTO {Event._meta.db_table} ({_COLUMNS}) "  # noqa: S608 - own names
        f"SELECT {values} FROM {source}"
    )
