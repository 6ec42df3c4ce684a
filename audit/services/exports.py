"""Downloads of lists: each one is on record with its filter."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.http import StreamingHttpResponse

from audit import events
from audit.actor import Actor, Target
from audit.registry import EventKind
from audit.services.record import record
from core.errors import Invalid
from core.exports import respond

FORMS = ("csv", "json")
MOST_ROWS = 100_000


def export(
    *,
    name: str,
    form: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    filters: Mapping[str, Any],
    actor: Actor,
    at: datetime,
    event: EventKind = events.LIST_EXPORTED,
) -> StreamingHttpResponse:
    """Record the export, then stream it. Raises Invalid for an unknown form."""
    if form not in FORMS:
        raise Invalid(f"Unknown export {form!r}: use {' or '.join(FORMS)}.")
    record(
        event,
        actor=actor,
        at=at,
        target=Target("export", name, name),
        payload={"form": form, "filters": dict(filters), "columns": list(columns)},
    )
    return respond(name=name, form=form, columns=columns, rows=rows)
