"""Notes on the time line of the reports: added and taken away, each on record."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.ids import new_id
from finops import events
from finops.models import Annotation
from policy.models import Team

LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is to be noted. ``team`` is "" for every team."""

    at: datetime
    kind: str
    text: str
    team: str = ""
    link: str = ""
    external_id: str = ""


@transaction.atomic
def annotate(
    *, note: Note, teams: frozenset[str] | None, actor: Actor, at: datetime
) -> tuple[Annotation, bool]:
    """The annotation, and whether it is new; ``teams`` are those it may be for.

    The same ``external_id`` of a team again changes nothing. Raises Invalid, NotFound.
    """
    _check(note)
    if teams is not None and note.team not in teams:
        raise NotFound("Name a team of your own: only finance notes for all of them.")
    if note.team and not Team.objects.filter(slug=note.team).exists():
        raise Invalid(f"There is no team {note.team}.")
    values = {
        "uid": new_id("note"),
        "at": note.at,
        "kind": note.kind,
        "text": " ".join(note.text.split()),
        "link": note.link,
        "author": actor.id,
        "author_label": actor.label,
        "created_at": at,
    }
    if note.external_id:
        found, new = Annotation.objects.get_or_create(
            team=note.team, external_id=note.external_id, defaults=values
        )
    else:
        found, new = Annotation.objects.create(team=note.team, **values), True
    if new:
        record(
            events.ANNOTATION_ADDED,
            actor=actor,
            at=at,
            target=_target(found),
            payload={
                "kind": found.kind,
                "text": found.text,
                "team": found.team or "all teams",
                "link": found.link,
                "time": found.at.isoformat(),
            },
        )
    return found, new


@transaction.atomic
def remove(
    *, uid: str, teams: frozenset[str] | None, actor: Actor, at: datetime
) -> None:
    """Take away one's own annotation, or one of ``teams``. Raises NotFound."""
    found = Annotation.objects.select_for_update().filter(uid=uid).first()
    allowed = found and (
        found.author == actor.id or teams is None or found.team in teams
    )
    if found is None or not allowed:
        raise NotFound("There is no such annotation that you may take away.")
    record(
        events.ANNOTATION_REMOVED,
        actor=actor,
        at=at,
        target=_target(found),
        payload={"text": found.text, "team": found.team or "all teams"},
    )
    found.delete()


def _check(note: Note) -> None:
    text = " ".join(note.text.split())
    if not text or len(text) > LONGEST_TEXT:
        raise Invalid(f"Say in up to {LONGEST_TEXT} characters what happened.")
    if note.kind not in Annotation.Kind.values:
        raise Invalid(f"There is no kind {note.kind!r}: use deployment or note.")
    if note.link:
        parts = urlsplit(note.link)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Invalid("The link is no address: begin it with https://.")


def _target(found: Annotation) -> Target:
    return Target("annotation", found.uid, found.text)
