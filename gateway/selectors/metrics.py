"""Figures for Prometheus, read from the database at each scrape."""

from collections.abc import Callable
from datetime import datetime

from django.db.models import Count, Max, Min
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from audit import tree
from audit.models import Event
from audit.sink_states import SinkState, sink_states
from core.clock import now
from gateway import completions
from gateway.models import Run, Server


def exposition() -> bytes:
    """The text exposition of all figures; six queries."""
    registry = CollectorRegistry()
    at = now()
    runs = Gauge("tollgate_runs", "Runs by status", ["status"], registry=registry)
    counted = Run.objects.values_list("status").annotate(n=Count("pk"))
    for status, number in counted.order_by("status"):
        runs.labels(status).set(number)
    oldest = Run.objects.filter(status=Run.Status.QUEUED).aggregate(
        at=Min("queued_at")
    )["at"]
    Gauge(
        "tollgate_queue_oldest_seconds",
        "Age of the run that waits longest",
        registry=registry,
    ).set((at - oldest).total_seconds() if oldest else 0)
    Gauge(
        "tollgate_queue_messages",
        "Messages in the runs queue; -1 when the broker is away",
        registry=registry,
    ).set(_or_minus_one(completions.waiting("runs")))
    servers = Gauge(
        "tollgate_server_up", "Health of a tool server", ["server"], registry=registry
    )
    for name, health in (
        Server.objects.filter(status=Server.Status.ACTIVE)
        .values_list("name", "health")
        .order_by("name")
    ):
        servers.labels(name).set(1 if health == Server.Health.UP else 0)
    Gauge(
        "tollgate_audit_last_event_id",
        "Id of the newest audit event",
        registry=registry,
    ).set(Event.objects.aggregate(last=Max("pk"))["last"] or 0)
    _sealing(registry, at)
    _sinks(registry, at)
    return generate_latest(registry)


def _sealing(registry: CollectorRegistry, at: datetime) -> None:
    state = tree.state()
    Gauge(
        "tollgate_audit_sealed_size",
        "Audit events in the signed tree",
        registry=registry,
    ).set(state.size)
    Gauge(
        "tollgate_audit_unsealed",
        "Audit events that wait to be sealed",
        registry=registry,
    ).set(state.waiting)
    Gauge(
        "tollgate_audit_seal_lag_seconds",
        "Age of the oldest audit event that waits to be sealed",
        registry=registry,
    ).set(state.lag_seconds(at))


_SINKS: tuple[tuple[str, str, Callable[[SinkState], float]], ...] = (
    ("lag_events", "Sealed events the sink lacks", lambda one: one.lag),
    ("lag_seconds", "Age of the oldest of them", lambda one: one.lag_seconds),
    ("delivered", "Events and checkpoints taken", lambda one: one.sink.delivered),
    ("failed_attempts", "Batches not taken", lambda one: one.sink.failed),
    ("dead_letters", "Events refused and kept", lambda one: one.dead),
    ("up", "1 while it takes what it is given", lambda one: one.state != "failing"),
)


def _sinks(registry: CollectorRegistry, at: datetime) -> None:
    states = sink_states(at=at)
    for name, text, value in _SINKS:
        gauge = Gauge(f"tollgate_audit_sink_{name}", text, ["sink"], registry=registry)
        for state in states:
            gauge.labels(state.sink.name).set(value(state))


def _or_minus_one(number: int | None) -> int:
    return -1 if number is None else number
