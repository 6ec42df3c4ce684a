"""Holds a bundle of FOCUS 1.4 against the statements it was made from."""

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from finops.chargeback.statement import StatementDocument
from finops.exports import schema
from finops.exports.bundle import (
    BILLING_PERIOD,
    COST_AND_USAGE,
    INVOICE_DETAIL,
    MANIFEST,
)
from finops.exports.charges import invoice
from finops.exports.words import EXACT

Row = dict[str, str]
Sums = dict[str, Decimal]
# What a person can look at; more than these share a cause.
MOST = 100


def differences(
    folder: Path, documents: Sequence[StatementDocument], *, cost: Decimal
) -> list[str]:
    """What is wrong with a bundle, in words; nothing where all agrees.

    Checked are the digests, every row, and that the billed cost is the same in Cost and
    Usage, Invoice Detail and the statements, to the last digit: by line, by invoice and
    in all. ``cost`` is what the ledger, the fixed costs and amounts by hand come to:
    the file's without its rounding.
    """
    found = list(_digests(folder))
    lines: Sums = defaultdict(Decimal)
    details: Sums = defaultdict(Decimal)
    exact = Decimal(0)
    for row in _rows(folder, COST_AND_USAGE, schema.faults_of_usage, found):
        billed = _billed(row)
        _add(lines, f"{row['x_StatementId']} line {row['x_StatementLine']}", billed)
        if row["InvoiceDetailId"]:
            _add(details, row["InvoiceDetailId"], billed)
        if not row["x_Rounding"]:
            exact = EXACT.add(exact, billed)
    invoiced: Sums = defaultdict(Decimal)
    invoices: Sums = defaultdict(Decimal)
    for row in _rows(folder, INVOICE_DETAIL, schema.faults_of_detail, found):
        _add(invoiced, row["InvoiceDetailId"], _billed(row))
        _add(invoices, row["InvoiceId"], _billed(row))
    for _ in _rows(folder, BILLING_PERIOD, schema.faults_of_period, found):
        pass
    found += _compared("Cost and Usage", lines, "the statement", _lines(documents))
    found += _compared("Cost and Usage", details, "Invoice Detail", invoiced)
    totals = {invoice(one): one.total for one in documents if one.charged}
    found += _compared("Invoice Detail", invoices, "the statements", totals)
    if exact != cost:
        found.append(
            f"Cost and Usage without rounding is {exact:f}, the ledger {cost:f}."
        )
    return found[:MOST]


def _digests(folder: Path) -> Iterator[str]:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for file in manifest["files"]:
        with (folder / file["name"]).open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() != file["sha256"]:
                yield f"{file['name']} is not the file that the manifest names."


def _rows(
    folder: Path,
    name: str,
    faults: Callable[[Mapping[str, str]], list[str]],
    found: list[str],
) -> Iterator[Row]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            if len(found) < MOST:
                found += [f"{name} line {number}: {fault}." for fault in faults(row)]
            yield row


def _billed(row: Row) -> Decimal:
    try:
        return Decimal(row["BilledCost"])
    except InvalidOperation:
        return Decimal(0)


def _add(sums: Sums, key: str, amount: Decimal) -> None:
    sums[key] = EXACT.add(sums[key], amount)


def _lines(documents: Sequence[StatementDocument]) -> Sums:
    return {
        f"{document.uid} line {line.number}": line.billed
        for document in documents
        for line in document.lines
    }


def _compared(one: str, left: Sums, other: str, right: Sums) -> Iterator[str]:
    for key in sorted({*left, *right}):
        mine, theirs = left.get(key, Decimal(0)), right.get(key, Decimal(0))
        if mine != theirs:
            yield f"{key}: {one} has {mine:f}, {other} {theirs:f}."
