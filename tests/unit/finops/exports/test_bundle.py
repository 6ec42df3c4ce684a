"""Random months as FOCUS files: valid, and exact to the last digit."""

import csv
import json
import tempfile
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from focus_data_toolkit.model.capabilities import CapabilityProfile
from focus_data_toolkit.model.validator import lint_focus_1_4_structure
from focus_data_toolkit.validate.bundle import validate_dataset_bundle
from hypothesis import HealthCheck, given, settings

from core.money import total
from finops.exports import schema
from finops.exports.bundle import (
    BILLING_PERIOD,
    COST_AND_USAGE,
    INVOICE_DETAIL,
    Content,
    write,
)
from tests.builders.focus import contents

Rows = list[dict[str, str]]
SLOW = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
DECLARED = CapabilityProfile.of("SupportsUnitPricing")


def read(folder: Path, name: str) -> Rows:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def written(content: Content) -> tuple[Rows, Rows, Rows]:
    """The three datasets of a month, read back."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(content, folder)
        return (
            read(folder, COST_AND_USAGE),
            read(folder, INVOICE_DETAIL),
            read(folder, BILLING_PERIOD),
        )


def billed(rows: Rows) -> Decimal:
    return total(Decimal(row["BilledCost"]) for row in rows)


@SLOW
@given(contents())
def test_every_row_is_valid_and_the_files_agree(content: Content) -> None:
    usage, details, periods = written(content)

    assert [fault for row in usage for fault in schema.faults_of_usage(row)] == []
    assert [fault for row in details for fault in schema.faults_of_detail(row)] == []
    assert [fault for row in periods for fault in schema.faults_of_period(row)] == []
    for dataset, rows in (
        ("Cost and Usage", usage),
        ("Invoice Detail", details),
        ("Billing Period", periods),
    ):
        if rows:
            report = lint_focus_1_4_structure(dataset, rows, profile=DECLARED)
            assert report.messages() == []
    bundle = validate_dataset_bundle(
        {
            "Cost and Usage": usage,
            "Invoice Detail": details,
            "Billing Period": periods,
        },
        invoice_detail_authoritative=True,
        rounding_tolerance=Decimal(0),
    )
    assert [problem.format() for problem in bundle.errors] == []


@SLOW
@given(contents())
def test_costs_add_up_to_the_last_digit(content: Content) -> None:
    usage, details, _ = written(content)
    ledger = total(charge.cost for charge in content.charges)
    of_lines: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in usage:
        of_lines[row["x_StatementId"], row["x_StatementLine"]] += Decimal(
            row["BilledCost"]
        )

    assert of_lines == {
        (document.uid, str(line.number)): line.billed
        for document in content.documents
        for line in document.lines
    }
    assert billed([row for row in usage if not row["x_Rounding"]]) == ledger
    assert billed(usage) == total(document.total for document in content.documents)
    assert billed(details) == total(
        document.total for document in content.documents if document.charged
    )

    _check_shares(usage)


def _check_shares(usage: Rows) -> None:
    """Parts of a row keep its origin; their ratios are 1, their costs the row's."""
    found: dict[str, Rows] = defaultdict(list)
    for row in usage:
        if row["x_SplitOriginId"]:
            found[row["x_SplitOriginId"]].append(row)

    kept = ("SubAccountId", "Tags", "SkuId", "ChargePeriodStart", "x_Principal")
    for rows in found.values():
        ratios = [
            json.loads(row["AllocatedMethodDetails"], parse_float=Decimal)["Elements"][
                0
            ]
            for row in rows
        ]
        assert total(Decimal(one["AllocatedRatio"]) for one in ratios) == 1
        assert billed(rows) == Decimal(rows[0]["x_SplitOriginCost"])
        assert len({tuple(row[name] for name in kept) for row in rows}) == 1
        assert len({row["AllocatedResourceId"] for row in rows}) == len(rows)
