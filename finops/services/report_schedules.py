"""Has saved reports sent: when, to whom, by whose rights; each change is on record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core import signing
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from audit.actor import SYSTEM, Actor
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.ids import new_id
from finops import events
from finops.models import ReportSchedule
from finops.report_times import Rhythm
from finops.selectors.saved import visible_report, visible_schedules
from finops.services.saved_reports import target_of
from policy.access import COSTS_ADMIN, Access
from policy.models import User

MOST_RECIPIENTS = 20
_SALT = "finops.report.unsubscribe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """When a report is to be sent, and to whom."""

    rhythm: Rhythm
    recipients: tuple[str, ...]


@transaction.atomic
def schedule(
    *, view: str, wish: Wish, access: Access, actor: Actor, at: datetime
) -> ReportSchedule:
    """Have a report sent from now on, by the rights of ``actor``.

    Raises Invalid, NotFound.
    """
    found = visible_report(access, view)
    _check(wish, access)
    rhythm = wish.rhythm
    made = ReportSchedule.objects.create(
        uid=new_id("mail"),
        view=found,
        owner=actor.id,
        every=rhythm.every,
        weekday=rhythm.weekday,
        day=rhythm.day,
        hour=rhythm.hour,
        zone=rhythm.zone,
        recipients=list(wish.recipients),
        next_at=rhythm.following(at),
        created_at=at,
    )
    record(
        events.REPORT_SCHEDULED,
        actor=actor,
        at=at,
        target=target_of(found),
        payload={"when": rhythm.words},
        after={"schedule": made.uid, "recipients": list(wish.recipients)},
    )
    return made


@transaction.atomic
def unschedule(*, uid: str, access: Access, actor: Actor, at: datetime) -> None:
    """Have it sent no more. Raises NotFound."""
    found = _held(uid, access)
    record(
        events.REPORT_UNSCHEDULED,
        actor=actor,
        at=at,
        target=target_of(found.view),
        before={"schedule": found.uid, "recipients": found.recipients},
    )
    found.delete()


@transaction.atomic
def pause(*, uid: str, access: Access, actor: Actor, at: datetime) -> None:
    """Have it sent no more for now; again is harmless. Raises NotFound."""
    found = _held(uid, access)
    if found.paused_because:
        return
    found.paused_because = f"{actor.label} paused it."
    found.save(update_fields=["paused_because"])
    record(
        events.REPORT_PAUSED,
        actor=actor,
        at=at,
        target=target_of(found.view),
        payload={"reason": found.paused_because},
    )


@transaction.atomic
def resume(*, uid: str, access: Access, actor: Actor, at: datetime) -> None:
    """Have a paused one sent again, from its next time on. Raises NotFound, Invalid."""
    found = _held(uid, access)
    if not found.paused_because:
        raise Invalid("It is not paused.")
    if not found.recipients:
        raise Invalid("Nobody is left to send it to: make a new one.")
    found.paused_because, found.next_at = "", rhythm_of(found).following(at)
    found.save(update_fields=["paused_because", "next_at"])
    record(events.REPORT_RESUMED, actor=actor, at=at, target=target_of(found.view))


@transaction.atomic
def unsubscribe(*, token: str, at: datetime) -> None:
    """Take an address off a schedule, as its link asks. Again is harmless.

    Raises NotFound.
    """
    uid, address = subscription(token)
    found = ReportSchedule.objects.select_for_update().filter(uid=uid).first()
    if found is None or address not in found.recipients:
        return
    found.recipients = [one for one in found.recipients if one != address]
    if not found.recipients:
        found.paused_because = "Everybody it went to has unsubscribed."
    found.save(update_fields=["recipients", "paused_because"])
    record(
        events.REPORT_UNSUBSCRIBED,
        actor=SYSTEM,
        at=at,
        target=target_of(found.view),
        payload={"address": address},
    )


def subscription(token: str) -> tuple[str, str]:
    """The schedule and the address of an unsubscribe link. Raises NotFound."""
    try:
        uid, address = signing.loads(token, salt=_SALT)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise NotFound("This link is not whole: copy all of it.") from error
    return str(uid), str(address)


def token_for(schedule: ReportSchedule, address: str) -> str:
    """What an address's unsubscribe link ends in."""
    return signing.dumps([schedule.uid, address], salt=_SALT, compress=True)


def rhythm_of(found: ReportSchedule) -> Rhythm:
    """When it is due."""
    return Rhythm(
        found.every, found.hour, found.zone, weekday=found.weekday, day=found.day
    )


def _held(uid: str, access: Access) -> ReportSchedule:
    mine = visible_schedules(access).filter(uid=uid)
    found = mine.select_for_update(of=("self",)).first()
    if found is None:
        raise NotFound("There is no such schedule of yours.")
    return found


def _check(wish: Wish, access: Access) -> None:
    rhythm = wish.rhythm
    try:
        ZoneInfo(rhythm.zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Invalid(f"There is no time zone {rhythm.zone!r}.") from error
    if rhythm.every not in ReportSchedule.Every.values:
        raise Invalid(f"There is no rhythm {rhythm.every!r}: use day, week or month.")
    if not (
        0 <= rhythm.hour < 24 and 0 <= rhythm.weekday < 7 and 1 <= rhythm.day <= 31
    ):
        raise Invalid("Choose an hour of 0 to 23, and a day that there is.")
    _check_addresses(wish.recipients, access)


def _check_addresses(addresses: Sequence[str], access: Access) -> None:
    if not addresses:
        raise Invalid("Name at least one address.")
    if len(addresses) > MOST_RECIPIENTS:
        raise Invalid(f"At most {MOST_RECIPIENTS} addresses: use a mailing list.")
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError as error:
            raise Invalid(f"{address!r} is no e-mail address.") from error
    if access.may(COSTS_ADMIN):
        return
    people = User.objects.filter(email__in=addresses, is_active=True)
    strangers = set(addresses) - set(people.values_list("email", flat=True))
    if strangers:
        raise Invalid(
            f"{', '.join(sorted(strangers))}: only finance sends figures to addresses "
            "of nobody here. Ask finance, or name people who can sign in."
        )
