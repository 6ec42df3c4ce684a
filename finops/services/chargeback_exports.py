"""Chargeback taken along, as files and downloads; each one is on record."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from audit.actor import Actor
from audit.services.record import record
from core import pdf
from core.errors import Invalid
from core.exports import Download, csv_lines
from finops.chargeback import events
from finops.exports import bundle, documents, printed, tabular, workbook
from finops.exports.bundle import Content
from finops.models import BillingPeriod, Statement
from finops.selectors.charges import content_of, month_of, period_of
from finops.selectors.statements import document_of
from finops.services.billing import build, ensure_periods, statement_target, target_of


@dataclass(frozen=True, slots=True)
class Offer:
    """A form that a month is to be had in."""

    form: str
    label: str
    purpose: str


FOCUS, FOCUS_12 = "focus", "focus-1.2"
_VERSIONS = {FOCUS: "1.4", FOCUS_12: "1.2"}
_CSV, _XLSX, _JSON, _PDF = "csv", "xlsx", "json", "pdf"
OFFERED = (
    Offer(
        FOCUS,
        "FOCUS 1.4",
        "FinOps tools: Cost and Usage, Invoice Detail and Billing Period, as a zip",
    ),
    Offer(FOCUS_12, "FOCUS 1.2", "Tools that read 1.2: Cost and Usage, as a zip"),
    Offer(_XLSX, "Workbook", "Finance: sheets of the statements, lines and usage"),
    Offer(_PDF, "PDF", "To read, sign and send: every statement with its lines"),
    Offer(_CSV, "CSV of lines", "A ledger's import: a row for each line"),
    Offer(_JSON, "JSON", "Programs: what each digest covers, to check it again"),
)
FORMS = tuple(one.form for one in OFFERED)
# A statement alone: its usage by day is in the files of the month.
STATEMENT_FORMS = (_PDF, _CSV, _JSON)
TYPES = {
    FOCUS: ("application/zip", "zip"),
    FOCUS_12: ("application/zip", "zip"),
    _CSV: ("text/csv; charset=utf-8", "csv"),
    _XLSX: (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
    ),
    _JSON: ("application/json", "json"),
    _PDF: ("application/pdf", "pdf"),
}
_CHUNK = 1 << 16


def write_month(
    *, month: date, form: str, output: Path, actor: Actor, at: datetime
) -> Content:
    """Write a month to ``output``; FOCUS into a directory unless it ends in ``.zip``.

    Drafts that nobody has built yet are built first. Raises Invalid, NotFound,
    Unreconciled; then there is no file, and no manifest.
    """
    _check(form, FORMS)
    ensure_periods(at=at)
    period = period_of(month)
    if period.built_at is None:
        period = build(month=month, actor=actor, at=at)
    content = content_of(period)
    if form in _VERSIONS and output.suffix != ".zip":
        bundle.write(content, output, version=_VERSIONS[form])
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial = output.with_name(f".{output.name}.partial")
        try:
            _write(content, form, partial, at)
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    _record_month(period, content, form, actor, at)
    return content


def download_month(
    *, month: date, form: str, actor: Actor, at: datetime
) -> HttpResponseBase:
    """A month as a download, streamed as it is read. Raises Invalid, NotFound."""
    _check(form, FORMS)
    period = period_of(month)
    if period.built_at is None:
        raise Invalid(f"The drafts of {period} are not built yet: try again shortly.")
    content = content_of(period)
    _record_month(period, content, form, actor, at)
    name = f"chargeback-{content.month.name}"
    if version := _VERSIONS.get(form):
        name = f"{name}-focus-{version}"
    if form == _XLSX:
        return _response(name, form, _workbook(content))
    return _response(name, form, _parts(content, form, at))


@transaction.atomic
def download_statement(
    *, statement: Statement, form: str, actor: Actor, at: datetime
) -> HttpResponseBase:
    """One statement as PDF, CSV or JSON. Raises Invalid."""
    _check(form, STATEMENT_FORMS)
    document = document_of(statement)
    month = month_of(statement.period, [document])
    record(
        events.CHARGEBACK_EXPORTED,
        actor=actor,
        at=at,
        target=statement_target(statement),
        payload={"form": form, "state": statement.state, "statements": 1},
    )
    name = f"statement-{month.name}-{statement.cost_centre.slug}"
    if form == _PDF:
        return _response(
            name, form, [pdf.render(printed.statement(month, document), at=at)]
        )
    content = Content(month, [document], (), 0)
    return _response(name, form, _parts(content, form, at))


def _parts(content: Content, form: str, at: datetime) -> Iterable[bytes]:
    """A file in chunks; not of a workbook, which is written at random places."""
    match form:
        case "csv":
            found = csv_lines(tabular.LINES, tabular.lines(content.documents))
            return (line.encode() for line in found)
        case "json":
            return documents.parts(
                content.month, content.documents, unrated=content.unrated
            )
        case "pdf":
            whole = printed.whole(content.month, content.documents)
            return [pdf.render(whole, at=at)]
        case _:
            return bundle.archive(content, version=_VERSIONS[form])


def _write(content: Content, form: str, path: Path, at: datetime) -> None:
    if form == _XLSX:
        workbook.write(content, path)
        return
    with path.open("wb") as file:
        for part in _parts(content, form, at):
            file.write(part)


def _workbook(content: Content) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "month.xlsx"
        workbook.write(content, path)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _response(name: str, form: str, parts: Iterable[bytes]) -> HttpResponseBase:
    kind, ending = TYPES[form]
    headers = {"Content-Disposition": f'attachment; filename="{name}.{ending}"'}
    if isinstance(parts, list):
        return HttpResponse(b"".join(parts), content_type=kind, headers=headers)
    response: StreamingHttpResponse = Download(
        parts, content_type=kind, headers=headers
    )
    return response


def _check(form: str, known: tuple[str, ...]) -> None:
    if form not in known:
        raise Invalid(f"Unknown export {form!r}: use one of {', '.join(known)}.")


@transaction.atomic
def _record_month(
    period: BillingPeriod, content: Content, form: str, actor: Actor, at: datetime
) -> None:
    record(
        events.CHARGEBACK_EXPORTED,
        actor=actor,
        at=at,
        target=target_of(period),
        payload={
            "form": form,
            "state": period.state,
            "statements": len(content.documents),
        },
    )
