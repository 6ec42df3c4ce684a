"""Reports taken along: as CSV, JSON lines or PDF, each one on record."""

import base64
from collections.abc import Mapping
from itertools import islice

from django.conf import settings
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from audit import events, tree
from audit.actor import Actor, Target
from audit.services.exports import export
from audit.services.record import record
from core import pdf
from gateway.selectors.audit_reports import parts
from gateway.selectors.audit_reports.parts import Asked, Found, Report
from gateway.selectors.audit_reports.words import words

PDF = "pdf"


def download(
    *,
    report: Report,
    asked: Asked,
    found: Found,
    form: str,
    labels: Mapping[str, str],
    actor: Actor,
) -> HttpResponseBase:
    """Record the export, then send it. Raises Invalid, Unavailable.

    A PDF has the first rows only, and says so; the others have all of them.
    """
    filters = dict(asked.filters)
    if asked.period:
        filters["period"] = asked.period.label
    name = f"{report.slug}-{asked.at:%Y-%m-%d}"
    columns = [column.name for column in report.columns]
    if form != PDF:
        return export(
            name=name,
            form=form,
            columns=columns,
            rows=(row.values for row in found.listing.rows()),
            filters=filters,
            actor=actor,
            at=asked.at,
        )
    record(
        events.LIST_EXPORTED,
        actor=actor,
        at=asked.at,
        target=Target("export", name, name),
        payload={"form": PDF, "filters": filters, "columns": columns},
    )
    document = printed(report, asked, found, labels, actor)
    return HttpResponse(
        pdf.render(document, at=asked.at),
        content_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="{name}.pdf"'},
    )


def printed(
    report: Report,
    asked: Asked,
    found: Found,
    labels: Mapping[str, str],
    actor: Actor,
) -> pdf.Document:
    """The report as a document."""
    zone = asked.period.zone if asked.period else settings.REPORT_TIME_ZONE
    made = f"{words(asked.at, parts.AT, zone)} {zone} by {actor.label} ({actor.id})"
    return pdf.Document(
        report.title,
        lead=report.lead,
        facts=_facts(asked, labels, made, zone),
        parts=[*_summary(found, zone), *_table(report, found, zone)],
        footer=" · ".join(filter(None, (report.title, organisation(), f"made {made}"))),
        author=actor.label,
    )


def organisation() -> str:
    """Whose installation this is, as printed reports say it."""
    return str(settings.ORGANISATION or settings.PUBLIC_URL)


def _facts(
    asked: Asked, labels: Mapping[str, str], made: str, zone: str
) -> list[tuple[str, str]]:
    chosen = "; ".join(
        f"{labels[name]}: {value}" for name, value in asked.filters.items()
    )
    period = asked.period.label if asked.period else "as it stands now"
    return [
        ("Organisation", organisation()),
        ("Period", period),
        ("Filter", chosen or "none"),
        ("Teams", _teams(asked)),
        ("Made", made),
        ("Time zone", zone),
        ("Audit trail", _sealed(zone)),
    ]


def _sealed(zone: str) -> str:
    """Up to where the trail is sealed, so that the report can be held against it."""
    checkpoint = tree.latest()
    if checkpoint is None:
        return "not sealed yet"
    root = base64.b64encode(bytes(checkpoint.root)).decode()
    at = words(checkpoint.at, parts.AT, zone)
    return f"checkpoint of {checkpoint.size:,} events at {at} {zone}, root {root}"


def _teams(asked: Asked) -> str:
    return "all" if asked.teams is None else ", ".join(sorted(asked.teams)) or "none"


def _summary(found: Found, zone: str) -> list[pdf.Part]:
    figures = [(one.label, words(one.value, one.kind, zone)) for one in found.figures]
    summary: list[pdf.Part] = [pdf.Figures(figures)]
    for heading, shares in found.shares.items():
        if shares:
            said = ", ".join(f"{one.label} ({one.count:,})" for one in shares)
            summary.append(pdf.Paragraph(f"{heading}: {said}"))
    if found.note:
        summary.append(pdf.Paragraph(found.note))
    return summary


def _table(report: Report, found: Found, zone: str) -> list[pdf.Part]:
    rows = list(islice(found.listing.rows(), pdf.MOST_ROWS + 1))
    if not rows:
        return [pdf.Paragraph(report.nothing)]
    table = pdf.Table(
        [
            pdf.Column(one.label, one.width, one.kind in (parts.NUMBER, parts.SECONDS))
            for one in report.shown
        ],
        [
            [
                words(value, column.kind, zone)
                for column, value in zip(report.columns, row.values, strict=True)
                if column.shown
            ]
            for row in rows[: pdf.MOST_ROWS]
        ],
    )
    if len(rows) <= pdf.MOST_ROWS:
        return [table, pdf.Paragraph(report.about)]
    more = (
        f"These are the first {pdf.MOST_ROWS:,} rows; there are more. The CSV and the "
        "JSON of this report have all of them."
    )
    return [pdf.Paragraph(more), table, pdf.Paragraph(report.about)]
