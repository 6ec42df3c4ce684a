"""Sets up where the trail is delivered to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction

from audit import events
from audit.actor import Actor
from audit.models import DeadLetter, Sink
from audit.sealed import head, newest
from audit.services.delivery import open_way
from audit.services.record import record
from audit.services.sink_words import clean, target_of
from audit.sinks import FILE, checked
from core.clock import now
from core.errors import Invalid, NotFound, TollgateError
from core.secrets import SealBroken, seal


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a sink is to be; a secret that is left out stays what it is."""

    name: str
    kind: str
    form: str
    options: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


@transaction.atomic
def create_sink(
    *, wanted: Wanted, actor: Actor, at: datetime, from_start: bool = True
) -> Sink:
    """A new sink; it gets the whole trail, or what is sealed from now on.

    Raises Invalid.
    """
    options = _checked(wanted, wanted.secrets)
    begin = 0 if from_start else head()
    try:
        with transaction.atomic():
            sink = Sink.objects.create(
                name=wanted.name.strip(),
                kind=wanted.kind,
                form=wanted.form,
                options=options,
                cursor=begin,
                anchored=begin,
                created_at=at,
            )
    except IntegrityError as error:
        raise Invalid(f"There is a sink {wanted.name} already.") from error
    _keep_secrets(sink, wanted.secrets)
    record(
        events.SINK_CREATED,
        actor=actor,
        at=at,
        target=target_of(sink),
        after=shown(sink) | {"from_index": begin},
    )
    return sink


@transaction.atomic
def change_sink(*, sink_id: int, wanted: Wanted, actor: Actor, at: datetime) -> Sink:
    """Change a sink; its kind and its place in the trail stay.

    Raises NotFound, Invalid.
    """
    sink = _locked(sink_id)
    if wanted.kind != sink.kind:
        raise Invalid("A sink keeps its kind: add a new one, and remove this.")
    kept = _openable(sink)
    secrets = kept | {k: v for k, v in wanted.secrets.items() if v}
    if not wanted.options.get("certificate"):
        secrets.pop("key", None)
    options, before = _checked(wanted, secrets, sink), shown(sink)
    _refuse_to_redirect(sink, options, kept, wanted.secrets)
    changed = {name for name, _ in set(secrets.items()) ^ set(kept.items())}
    sink.name, sink.form, sink.options = wanted.name.strip(), wanted.form, options
    if shown(sink) == before and not changed:
        return sink
    sink.retry_at = None
    sink.save(update_fields=["name", "form", "options", "retry_at"])
    if changed:
        _keep_secrets(sink, secrets)
    record(
        events.SINK_CHANGED,
        actor=actor,
        at=at,
        target=target_of(sink),
        before=before,
        after=shown(sink),
        payload={"renewed": sorted(changed)},
    )
    return sink


@transaction.atomic
def pause_sink(*, sink_id: int, reason: str, actor: Actor, at: datetime) -> Sink:
    """Deliver nothing until it is resumed; nothing is lost meanwhile."""
    if not reason.strip():
        raise Invalid("Give a reason: it stands in the trail.")
    sink = _locked(sink_id)
    if sink.enabled:
        _set(sink, enabled=False)
        payload = {"reason": reason.strip(), "from_index": sink.cursor}
        record(
            events.SINK_PAUSED,
            actor=actor,
            at=at,
            target=target_of(sink),
            payload=payload,
        )
    return sink


@transaction.atomic
def resume_sink(*, sink_id: int, actor: Actor, at: datetime) -> Sink:
    """Go on where it stopped; a pause after failures ends too."""
    sink = _locked(sink_id)
    if not sink.enabled or sink.retry_at:
        _set(sink, enabled=True, retry_at=None)
        record(events.SINK_RESUMED, actor=actor, at=at, target=target_of(sink))
    return sink


@transaction.atomic
def remove_sink(*, sink_id: int, reason: str, actor: Actor, at: datetime) -> None:
    """Remove a sink. Raises Invalid while it holds dead letters."""
    if not reason.strip():
        raise Invalid("Give a reason: it stands in the trail.")
    sink = _locked(sink_id)
    if sink.dead.exclude(state=DeadLetter.State.DELIVERED).exists():
        raise Invalid(
            "It holds dead letters, which are never dropped: send them again first, "
            "or pause the sink and keep it."
        )
    target, before = target_of(sink), shown(sink)
    payload = {"reason": reason.strip(), "delivered_to_index": sink.cursor}
    sink.dead.all().delete()
    sink.delete()
    record(
        events.SINK_REMOVED,
        actor=actor,
        at=at,
        target=target,
        before=before,
        payload=payload,
    )


def test_sink(*, sink_id: int, actor: Actor, at: datetime) -> str:
    """Send the newest sealed event, once more: "" when it was taken, else the error.

    A receiver knows an event that it has by its uid. Call it outside a transaction.
    Raises NotFound, Invalid where nothing is sealed yet.
    """
    sink = find_sink(sink_id)
    item = newest()
    if item is None:
        raise Invalid("Nothing is sealed yet: a test needs an event to send.")
    error = ""
    try:
        open_way(sink).send([item])
    except TollgateError as failure:
        error = clean(sink, failure.message)
    record(
        events.SINK_TESTED,
        actor=actor,
        at=now(),
        target=target_of(sink),
        payload={"outcome": error or "it took the event", "event": item.uid},
    )
    return error


def find_sink(sink_id: int) -> Sink:
    """One sink. Raises NotFound."""
    sink = Sink.objects.filter(pk=sink_id).first()
    if sink is None:
        raise NotFound("There is no such audit sink.")
    return sink


def shown(sink: Sink) -> dict[str, Any]:
    """The settings as the trail and the API may hold them."""
    return {
        "name": sink.name,
        "kind": sink.kind,
        "form": sink.form,
        "options": dict(sink.options),
        "enabled": sink.enabled,
    }


def _checked(
    wanted: Wanted, secrets: Mapping[str, str], sink: Sink | None = None
) -> dict[str, Any]:
    if not wanted.name.strip():
        raise Invalid("Give the sink a name.")
    others = Sink.objects.exclude(pk=sink.pk) if sink else Sink.objects.all()
    if sink and others.filter(name=wanted.name.strip()).exists():
        raise Invalid(f"There is a sink {wanted.name} already.")
    options = checked(
        kind=wanted.kind, form=wanted.form, options=wanted.options, secrets=secrets
    )
    same = others.filter(kind=FILE, options__file=options.get("file"))
    if wanted.kind == FILE and same.exists():
        raise Invalid("Another sink writes this file: choose another name.")
    return options


def _openable(sink: Sink) -> dict[str, str]:
    """The secrets that are kept; none where they do not open, to be entered again."""
    try:
        return sink.secrets
    except SealBroken:
        return {}


def _refuse_to_redirect(
    sink: Sink,
    options: Mapping[str, Any],
    kept: Mapping[str, str],
    given: Mapping[str, str],
) -> None:
    """Credentials that nobody can read must not be sent to another receiver either."""
    same = all(sink.options.get(name) == options.get(name) for name in ("url", "host"))
    if not same and any(not given.get(name) for name in kept):
        raise Invalid(
            "The receiver changes: enter its credentials again, for those that are "
            "kept were meant for the other one."
        )


def _keep_secrets(sink: Sink, secrets: Mapping[str, str]) -> None:
    kept = {name: text for name, text in secrets.items() if text}
    sink.secret = seal(kept, owner=sink.owner) if kept else None
    sink.save(update_fields=["secret"])


def _locked(sink_id: int) -> Sink:
    sink = Sink.objects.select_for_update().filter(pk=sink_id).first()
    if sink is None:
        raise NotFound("There is no such audit sink.")
    return sink


def _set(sink: Sink, **values: Any) -> None:
    for name, value in values.items():
        setattr(sink, name, value)
    sink.save(update_fields=list(values))
