"""Statements as a document that finance sends: parties, lines, total, what to do."""

from collections.abc import Iterable, Sequence
from datetime import UTC
from decimal import Decimal
from itertools import groupby

from core import pdf
from core.money import show, total
from finops.chargeback import statement as kinds
from finops.chargeback.shares import minor_places
from finops.chargeback.statement import StatementDocument, StatementLine
from finops.exports.charges import Month, invoice

HEADINGS = {
    kinds.USAGE: "Own usage",
    kinds.SHARED: "Shared usage",
    kinds.PLATFORM: "Fixed costs",
    kinds.CORRECTION: "Corrections of months before",
    kinds.CREDIT: "Credits",
    kinds.ADJUSTMENT: "Adjustments",
    kinds.ROUNDING: "Rounding",
}
_COLUMNS = (
    pdf.Column("Line", 0.5),
    pdf.Column("Team / project / environment", 2.4),
    pdf.Column("What", 3),
    pdf.Column("Quantity", 1.5, right=True),
    pdf.Column("Split by", 1.4),
    pdf.Column("Exact cost", 1.6, right=True),
    pdf.Column("Billed", 1.1, right=True),
)
_TOTALS = (
    pdf.Column("Statement", 1.6),
    pdf.Column("Cost centre", 2),
    pdf.Column("Kind", 1),
    pdf.Column("State", 1),
    pdf.Column("Billed", 1, right=True),
)


def statement(month: Month, document: StatementDocument) -> pdf.Document:
    """One statement as a document."""
    title = "Statement of usage" if document.charged else "Showback of usage"
    return pdf.Document(
        f"{title} {invoice(document)}",
        lead=_lead(month, document),
        facts=_facts(month, document),
        parts=[*_figures(month, document), *_lines(month, document), *_closing(month)],
        footer=f"{month.organisation} · {invoice(document)} · {month.name}",
        author=month.organisation,
    )


def whole(month: Month, documents: Sequence[StatementDocument]) -> pdf.Document:
    """All statements of a month, after a table of them."""
    parts: list[pdf.Part] = [
        pdf.Figures(
            [
                ("Statements", f"{len(documents):,}"),
                ("Billed", _money(month, total(one.total for one in documents))),
                ("State", "closed" if month.closed else "draft"),
            ]
        ),
        *_limited(_TOTALS, [_row(month, one) for one in documents]),
    ]
    for document in documents[: pdf.MOST_ROWS]:
        parts += [
            pdf.Heading(f"{invoice(document)} · {_centre(document)}"),
            *_lines(month, document),
        ]
    return pdf.Document(
        f"Chargeback {month.name}",
        lead=_lead(month, None),
        facts=_issuer(month),
        parts=[*parts, *_closing(month)],
        footer=f"{month.organisation} · chargeback {month.name}",
        author=month.organisation,
    )


def _lead(month: Month, document: StatementDocument | None) -> str:
    if not month.closed:
        return "DRAFT: the month is open, and these figures may still change."
    if document is not None and not document.charged:
        return "This tells what was used; nothing is charged."
    return "This month is closed: its figures never change."


def _issuer(month: Month) -> list[tuple[str, str]]:
    last = month.end.date().toordinal() - 1
    end = month.end.date().fromordinal(last)
    return [
        ("From", month.organisation),
        ("Period", f"{month.start:%Y-%m-%d} to {end:%Y-%m-%d} ({month.zone})"),
        ("Currency", month.currency),
    ]


def _facts(month: Month, document: StatementDocument) -> list[tuple[str, str]]:
    issued = document.issued_at
    facts = [
        *_issuer(month),
        ("To", f"Cost centre {_centre(document)}"),
        ("Number", invoice(document)),
        (
            "Issued",
            f"{issued.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            if issued
            else "not issued yet",
        ),
        ("Digest", document.digest or "none: the month is open"),
    ]
    if document.previous_digest:
        facts.append(("Digest before", document.previous_digest))
    if document.rates:
        said = ", ".join(
            f"1 {currency} = {kinds.plain(rate)} {month.currency}"
            for currency, rate in document.rates
        )
        facts.append(("Exchange rates", said))
    return facts


def _figures(month: Month, document: StatementDocument) -> list[pdf.Part]:
    by_category = {
        name: total(one.billed for one in document.lines if one.category == name)
        for name in kinds.CATEGORIES
    }
    pairs = [
        (HEADINGS[name], _money(month, amount))
        for name, amount in by_category.items()
        if amount
    ]
    return [pdf.Figures([("Total", _money(month, document.total)), *pairs])]


def _lines(month: Month, document: StatementDocument) -> Iterable[pdf.Part]:
    if not document.lines:
        yield pdf.Paragraph("There are no lines.")
    ordered = sorted(document.lines, key=lambda one: one.number)
    for category, found in groupby(ordered, key=lambda one: one.category):
        rows = list(found)
        amount = _money(month, total(one.billed for one in rows))
        yield pdf.Heading(f"{HEADINGS[category]}: {amount}")
        yield from _limited(_COLUMNS, [_told(month, one) for one in rows])


def _limited(
    columns: Sequence[pdf.Column], rows: Sequence[Sequence[str]]
) -> Iterable[pdf.Part]:
    """A table, cut where a PDF would grow beyond use, and saying so."""
    if len(rows) > pdf.MOST_ROWS:
        yield pdf.Paragraph(
            f"These are the first {pdf.MOST_ROWS:,} of {len(rows):,} rows; the CSV and "
            "the JSON have all of them. Totals count them all."
        )
    yield pdf.Table(columns, rows[: pdf.MOST_ROWS])


def _told(month: Month, line: StatementLine) -> list[str]:
    origin = line.origin
    who = [one for one in (origin.team, origin.project, origin.environment) if one]
    charged = f"{line.charge_month:%Y-%m}"
    what = [line.reason or line.sku, *([charged] if charged != month.name else [])]
    split = ""
    if line.allocated:
        split = f"{line.allocated.id} ({line.allocated.ratio:.2%})"
    return [
        str(line.number),
        " / ".join(who),
        ", ".join(what),
        f"{show(line.quantity)} {line.unit}",
        split,
        kinds.plain(line.cost),
        _amount(month, line.billed),
    ]


def _row(month: Month, document: StatementDocument) -> list[str]:
    return [
        invoice(document),
        _centre(document),
        "charged" if document.charged else "showback",
        document.state,
        _amount(month, document.total),
    ]


def _centre(document: StatementDocument) -> str:
    name, slug = document.cost_centre_name, document.cost_centre
    return f"{name} ({slug})" if name and name != slug else slug


def _closing(month: Month) -> list[pdf.Part]:
    return [
        pdf.Heading("If something is wrong"),
        pdf.Paragraph(
            "A member of the team opens the statement in Tollgate (Chargeback), "
            "chooses the line and disputes it, naming the runs in question. Each line "
            "shows the runs that it is made of and can be worked out again on its "
            "page. What is granted is a credit or an adjustment in the next open "
            "month: a closed statement never changes."
        ),
        pdf.Paragraph(
            f"Costs are exact to 12 places of {month.currency} and rounded once, at "
            "the line, so that the lines add up to the total."
        ),
    ]


def _money(month: Month, amount: Decimal) -> str:
    return f"{_amount(month, amount)} {month.currency}"


def _amount(month: Month, amount: Decimal) -> str:
    return f"{amount:,.{minor_places(month.currency)}f}"
