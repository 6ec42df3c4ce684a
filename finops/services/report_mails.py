"""Writes reports that are due, by the rights their owner has then, and sends them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse

from audit.actor import SYSTEM
from audit.services.record import record
from core.clock import now
from core.errors import Invalid
from core.exports import csv_lines
from core.ids import new_id
from core.mail import post
from core.outgoing import NotDelivered
from core.retries import MOST_ATTEMPTS, pause_after
from finops import events
from finops.models import ReportMail, ReportSchedule
from finops.report_table import Table
from finops.saved_pages import address_of, schedules_address, table_of
from finops.selectors.saved import visible_reports
from finops.services.report_readers import Narrowed, Teams, readers
from finops.services.report_schedules import rhythm_of, token_for
from finops.services.saved_reports import target_of
from policy.access import COSTS_READ, Access, access_of
from policy.models import User

_MOST_A_TURN = 200
_MOST_LINES = 40


def send_due(*, at: datetime) -> int:
    """Write what is due and send what waits; how many mails arrived.

    Safe to run twice at once: a schedule is written once for each time it is due, and
    a mail is held by whoever sends it.
    """
    due = ReportSchedule.objects.filter(paused_because="", next_at__lte=at)
    for pk in due.order_by("next_at", "pk").values_list("pk", flat=True)[:_MOST_A_TURN]:
        issue(schedule_id=pk, at=at)
    return deliver(at=at)


@transaction.atomic
def issue(*, schedule_id: int, at: datetime) -> int:
    """Write the mails of one schedule if it is due, or pause it and say so."""
    found = (
        ReportSchedule.objects.select_for_update(of=("self",))
        .select_related("view")
        .filter(pk=schedule_id, paused_because="", next_at__lte=at)
        .first()
    )
    if found is None:
        return 0
    due, found.next_at = found.next_at, rhythm_of(found).following(at)
    try:
        allowed = readers(found.recipients, _owner(found))
        tables = _tables(found, allowed.values(), due=due)
    except Invalid as error:
        return _pause(found, error.message, due=due, at=at)
    found.save(update_fields=["next_at"])
    written = [
        _mail(found, address, tables[seen.teams_for(COSTS_READ)], due=due, at=at)
        for address, seen in allowed.items()
    ]
    ReportMail.objects.bulk_create(written, ignore_conflicts=True)
    record(
        events.REPORT_SENT,
        actor=SYSTEM,
        at=at,
        target=target_of(found.view),
        payload={
            "recipients": len(written),
            "withheld": len(found.recipients) - len(written),
            "due": due.isoformat(),
            "rows": max((len(table.rows) for table in tables.values()), default=0),
        },
    )
    return len(written)


def _tables(
    found: ReportSchedule, asked: Iterable[Narrowed], *, due: datetime
) -> dict[Teams, Table]:
    """One table for all who see the same teams. Raises Invalid."""
    view = found.view
    differing = {seen.teams_for(COSTS_READ): seen for seen in asked}
    return {
        teams: table_of(view.page, view.query, rights=seen, at=due)
        for teams, seen in differing.items()
    }


def deliver(*, at: datetime) -> int:
    """Send the mails that wait, each by one sender; how many were taken."""
    sent = 0
    for _ in range(_MOST_A_TURN):
        mail = _claim(at)
        if mail is None:
            break
        sent += _attempt(mail)
    return sent


def _owner(found: ReportSchedule) -> Access:
    """What its owner may see now. Raises Invalid."""
    username = found.owner.removeprefix("user:")
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise Invalid(f"{username}, by whose rights it was sent, is gone.")
    access = access_of(user)
    if not access.may(COSTS_READ):
        raise Invalid(f"{username} may not see costs any more.")
    if not visible_reports(access).filter(pk=found.view_id).exists():
        raise Invalid(f"{username} may not see this saved report any more.")
    return access


def _pause(found: ReportSchedule, reason: str, *, due: datetime, at: datetime) -> int:
    found.paused_because = reason[:300]
    found.save(update_fields=["paused_because", "next_at"])
    record(
        events.REPORT_PAUSED,
        actor=SYSTEM,
        at=at,
        target=target_of(found.view),
        payload={"reason": reason},
    )
    told = [
        ReportMail(
            uid=new_id("msg", characters=18),
            schedule=found,
            due_at=due,
            recipient=address,
            subject=f"Tollgate: “{found.view.name}” is sent no more"[:200],
            text=f"{reason}\n\nWhoever needs it saves and schedules it anew: "
            f"{schedules_address()}\n",
            next_at=at,
        )
        for address in found.recipients
    ]
    ReportMail.objects.bulk_create(told, ignore_conflicts=True)
    return 0


def _mail(
    found: ReportSchedule, address: str, table: Table, *, due: datetime, at: datetime
) -> ReportMail:
    view = found.view
    words = {
        "name": view.name,
        "table": table,
        "rows": table.shown[:_MOST_LINES],
        "more": max(0, len(table.shown) - _MOST_LINES),
        "when": rhythm_of(found).words,
        "address": settings.PUBLIC_URL.rstrip("/") + address_of(view.page, view.query),
        "unsubscribe": _unsubscribe(found, address),
    }
    return ReportMail(
        uid=new_id("msg", characters=18),
        schedule=found,
        due_at=due,
        recipient=address,
        subject=f"{view.name}: {table.summary}"[:200],
        text=render_to_string("reports/mail.txt", words | {"lines": _lines(table)}),
        html=render_to_string("reports/mail.html", words),
        csv="".join(csv_lines(table.names, table.rows)),
        next_at=at,
    )


def _unsubscribe(found: ReportSchedule, address: str) -> str:
    path = reverse("report_unsubscribe", args=[token_for(found, address)])
    return settings.PUBLIC_URL.rstrip("/") + path


def _lines(table: Table) -> list[str]:
    """The table in columns of one width each."""
    rows = [table.headings, *table.shown[:_MOST_LINES]]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _still_allowed(mail: ReportMail) -> bool:
    """Hours may lie between the writing of a mail and an attempt that succeeds."""
    try:
        return bool(readers([mail.recipient], _owner(mail.schedule)))
    except Invalid:
        return False


@transaction.atomic
def _claim(at: datetime) -> ReportMail | None:
    waiting = ReportMail.objects.filter(
        state=ReportMail.State.QUEUED, next_at__lte=at
    ).select_for_update(skip_locked=True, of=("self",))
    mail = waiting.select_related("schedule__view").order_by("next_at", "pk").first()
    if mail:
        mail.attempts += 1
        # Held until the server must have answered.
        mail.next_at = at + timedelta(seconds=settings.NOTIFY_SECONDS * 4 + 60)
        mail.save(update_fields=["attempts", "next_at"])
    return mail


def _attempt(mail: ReportMail) -> bool:
    if mail.html and not _still_allowed(mail):
        mail.state, mail.last_error = "dead", "Its reader may not see costs any more."
        mail.text = mail.html = mail.csv = ""
        mail.save()
        return False
    message = EmailMultiAlternatives(mail.subject, mail.text, to=[mail.recipient])
    if mail.html:
        link = _unsubscribe(mail.schedule, mail.recipient)
        message.extra_headers = {
            "List-Unsubscribe": f"<{link}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
        message.attach_alternative(mail.html, "text/html")
        name = f"{mail.schedule.view.page}-{mail.due_at:%Y%m%d}.csv"
        message.attach(name, mail.csv, "text/csv")
    try:
        post(message, uid=mail.uid)
    except NotDelivered as error:
        _failed(mail, error)
        return False
    mail.state, mail.delivered_at, mail.last_error = "delivered", now(), ""
    # Figures that have arrived need not be kept a second time.
    mail.text = mail.html = mail.csv = ""
    mail.save()
    return True


@transaction.atomic
def _failed(mail: ReportMail, error: NotDelivered) -> None:
    mail.last_error = error.message[:300]
    if mail.attempts >= MOST_ATTEMPTS:
        mail.state = ReportMail.State.DEAD
        record(
            events.REPORT_DEAD,
            actor=SYSTEM,
            at=now(),
            target=target_of(mail.schedule.view),
            payload={"error": mail.last_error, "attempts": mail.attempts},
        )
    else:
        mail.next_at = now() + pause_after(mail.attempts)
    mail.save(update_fields=["state", "last_error", "next_at"])
