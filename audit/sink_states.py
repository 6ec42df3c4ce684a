"""How far each sink is, for pages, the API, metrics and the doctor."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q

from audit.formats import LABELS
from audit.models import DeadLetter, Leaf, Sink
from audit.sealed import head
from audit.sinks import KINDS
from core.errors import NotFound

# A sink that is up is this late at the most: a turn a second, and a batch.
LATE_SECONDS = 60.0
_PEM = ("authority", "certificate")
_WORDS = {
    "url": "Address",
    "megabytes": "Put aside at, MB",
    "hours": "Put aside after, hours",
    "authority": "Certificate authority",
    "certificate": "Client certificate",
}
_TONES = {
    "delivering": "ok",
    "new": "pending",
    "late": "awaiting_approval",
    "paused": "off",
    "failing": "failed",
    "ahead": "failed",
}


@dataclass(frozen=True, slots=True)
class SinkState:
    """A sink and its lag; ``oldest`` is when the first event it lacks happened."""

    sink: Sink
    head: int
    oldest: datetime | None
    at: datetime
    dead: int

    @property
    def state(self) -> str:
        """One word: paused, ahead, failing, late, new or delivering."""
        if not self.sink.enabled:
            return "paused"
        if self.sink.cursor > self.head:
            return "ahead"
        if self.sink.failures:
            return "failing"
        if self.lag_seconds > LATE_SECONDS:
            return "late"
        return "delivering" if self.sink.last_delivered_at else "new"

    @property
    def lag(self) -> int:
        """How many sealed events it has not been given."""
        return max(self.head - self.sink.cursor, 0)

    @property
    def lag_seconds(self) -> float:
        if self.oldest is None:
            return 0.0
        return max((self.at - self.oldest).total_seconds(), 0.0)

    @property
    def troubled(self) -> bool:
        return self.state in {"ahead", "failing", "late"} or self.dead > 0

    @property
    def tone(self) -> str:
        """The status word whose colour fits."""
        return _TONES[self.state]

    @property
    def format(self) -> str:
        return LABELS[self.sink.form]

    @property
    def label(self) -> str:
        return KINDS[self.sink.kind].label

    @property
    def destination(self) -> str:
        """Where it goes, in short."""
        options = self.sink.options
        if "host" in options:
            return f"{options['host']}:{options.get('port', '')}"
        return str(options.get("url") or options.get("file", ""))

    @property
    def options(self) -> list[tuple[str, Any]]:
        """What it is set to, in words; PEM is only said to be there."""
        return [
            (_WORDS.get(name, name.capitalize()), "set" if name in _PEM else value)
            for name, value in self.sink.options.items()
        ]

    def as_dict(self) -> Mapping[str, Any]:
        """For programs; nothing of its secrets."""
        sink = self.sink
        return {
            "id": sink.pk,
            "name": sink.name,
            "kind": sink.kind,
            "form": sink.form,
            "options": sink.options,
            "enabled": sink.enabled,
            "state": self.state,
            "cursor": sink.cursor,
            "head": self.head,
            "anchored": sink.anchored,
            "lag_events": self.lag,
            "lag_seconds": round(self.lag_seconds, 3),
            "delivered": sink.delivered,
            "failed_attempts": sink.failed,
            "dead_letters": self.dead,
            "failing_since": sink.failing_since,
            "retry_at": sink.retry_at,
            "last_error": sink.last_error,
            "last_failed_at": sink.last_failed_at,
            "last_delivered_at": sink.last_delivered_at,
            "created_at": sink.created_at,
        }


def sink_states(*, at: datetime) -> list[SinkState]:
    """Every sink by name, in three queries."""
    open_letters = Count("dead", filter=~Q(dead__state=DeadLetter.State.DELIVERED))
    sinks = list(Sink.objects.annotate(letters=open_letters).order_by("name", "pk"))
    size = head()
    behind = [sink.cursor for sink in sinks if sink.cursor < size]
    oldest = dict(
        Leaf.objects.filter(index__in=behind).values_list("index", "event_at")
    )
    return [
        SinkState(sink, size, oldest.get(sink.cursor), at, sink.letters)
        for sink in sinks
    ]


def sink_state(sink_id: int, *, at: datetime) -> SinkState:
    """One sink. Raises NotFound."""
    for state in sink_states(at=at):
        if state.sink.pk == sink_id:
            return state
    raise NotFound("There is no such audit sink.")


def without_turn(*, seconds: float, at: datetime) -> list[str]:
    """Sinks that are on, have something to get, and were not tried for so long.

    A receiver that is away is tried all the time: that is no reason to restart.
    """
    limit = timedelta(seconds=seconds)
    return [
        state.sink.name
        for state in sink_states(at=at)
        if state.sink.enabled
        and state.lag_seconds > seconds
        and at - _last_turn(state.sink) > limit
    ]


def _last_turn(sink: Sink) -> datetime:
    turns = (sink.last_delivered_at, sink.last_failed_at, sink.created_at)
    return max(turn for turn in turns if turn is not None)
