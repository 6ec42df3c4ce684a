"""A month as a workbook: sheets Summary, Lines and Usage; a row at a time."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import xlsxwriter

from core.money import total
from finops.chargeback.statement import StatementDocument
from finops.exports.bundle import Content
from finops.exports.charges import Charge, invoice
from finops.exports.tabular import LINES, lines

# Excel's own limit; what is beyond goes on a further sheet.
MOST_ROWS = 1_048_575
_SUMMARY = ("Statement", "Cost centre", "Name", "Kind", "State", "Exact cost", "Billed")
_USAGE = (
    *("Statement", "Line", "Day", "Category", "Team", "Cost centre", "Project"),
    *("Environment", "Principal", "SKU", "Unit", "Quantity", "Unit price", "Cost"),
    *("Rule", "Ratio", "Correction", "Rounding"),
)
_MONEY, _EXACT, _DAY, _BOLD = "money", "exact", "day", "bold"
_FORMATS = {
    _MONEY: {"num_format": "#,##0.00"},
    _EXACT: {"num_format": "#,##0.00##########"},
    _DAY: {"num_format": "yyyy-mm-dd"},
    _BOLD: {"bold": True, "bottom": 1},
}


def write(content: Content, path: Path) -> None:
    """Write the workbook; memory does not grow with its rows.

    Text is written as text, whatever it looks like: no cell is a formula or a link.
    Numbers are numbers, which a spreadsheet keeps to 15 digits.
    """
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        month = content.month
        book.set_properties(
            {
                "title": f"Chargeback {month.name}",
                "company": month.organisation,
                "created": month.updated.replace(tzinfo=None),
            }
        )
        formats = {name: book.add_format(one) for name, one in _FORMATS.items()}
        _summary(book, formats, content)
        _table(book, formats, "Lines", LINES, lines(content.documents))
        zone = ZoneInfo(month.zone)
        usage = (_used(charge, zone) for charge in content.charges)
        _table(book, formats, "Usage", _USAGE, usage)


def _summary(book: Any, formats: dict[str, Any], content: Content) -> None:
    month = content.month
    facts = [
        ("Organisation", month.organisation),
        ("Month", month.name),
        ("Time zone", month.zone),
        ("Currency", month.currency),
        ("State", "closed" if month.closed else "DRAFT: the month is open"),
        ("Quantities without a price", content.unrated),
        ("Billed in all", total(one.total for one in content.documents)),
    ]
    sheet = book.add_worksheet("Summary")
    sheet.set_column(0, len(_SUMMARY) - 1, 24)
    for row, (label, value) in enumerate(facts):
        _cell(sheet, formats, row, 0, label, formats[_BOLD])
        _cell(sheet, formats, row, 1, value, formats[_MONEY])
    start = len(facts) + 1
    _header(sheet, formats, start, _SUMMARY)
    for row, document in enumerate(content.documents, start=start + 1):
        for column, value in enumerate(_summed(document)):
            shown = formats[_MONEY] if column == len(_SUMMARY) - 1 else None
            _cell(sheet, formats, row, column, value, shown)


def _summed(document: StatementDocument) -> Sequence[Any]:
    return (
        invoice(document),
        document.cost_centre,
        document.cost_centre_name,
        "charged" if document.charged else "showback",
        document.state,
        document.cost,
        document.total,
    )


def _used(charge: Charge, zone: ZoneInfo) -> Sequence[Any]:
    line, origin = charge.line, charge.line.origin
    return (
        invoice(charge.document),
        line.number,
        charge.start.astimezone(zone).date(),
        line.category,
        origin.team,
        origin.cost_centre,
        origin.project,
        origin.environment,
        charge.principal,
        line.sku,
        line.unit,
        charge.quantity,
        charge.price,
        charge.cost,
        line.allocated.id if line.allocated else "",
        line.allocated.ratio if line.allocated else None,
        "correction" if charge.corrects else "",
        "rounding" if charge.is_rounding else "",
    )


def _table(
    book: Any,
    formats: dict[str, Any],
    name: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> None:
    """Rows under a header that stays in sight, over as many sheets as they need."""
    sheet, row, sheets = None, 0, 0
    for values in rows:
        if sheet is None or row >= MOST_ROWS:
            sheets += 1
            title = name if sheets == 1 else f"{name} {sheets}"
            sheet, row = _sheet(book, formats, title, columns), 0
        row += 1
        for column, value in enumerate(values):
            _cell(sheet, formats, row, column, value)
    if sheet is None:
        _sheet(book, formats, name, columns)


def _sheet(
    book: Any, formats: dict[str, Any], name: str, columns: Sequence[str]
) -> Any:
    sheet = book.add_worksheet(name)
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(columns) - 1, 16)
    _header(sheet, formats, 0, columns)
    return sheet


def _header(
    sheet: Any, formats: dict[str, Any], row: int, columns: Sequence[str]
) -> None:
    for column, label in enumerate(columns):
        sheet.write_string(row, column, label, formats[_BOLD])


def _cell(
    sheet: Any,
    formats: dict[str, Any],
    row: int,
    column: int,
    value: Any,
    shown: Any = None,
) -> None:
    match value:
        case None | "":
            return
        case Decimal():
            sheet.write_number(row, column, float(value), shown or formats[_EXACT])
        case int():
            sheet.write_number(row, column, value)
        case datetime() | date():
            sheet.write_datetime(row, column, value, formats[_DAY])
        case _:
            sheet.write_string(row, column, str(value))
