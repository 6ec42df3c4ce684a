"""A month as FOCUS 1.2 before the official validator, without a network."""

import re
import subprocess
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from finops.exports.bundle import COST_AND_USAGE, write
from tests.builders.focus import sample

HOME = Path(__file__).resolve().parents[4] / "var" / "focus-venv"
# What Tollgate does; without them the validator skips most of its rules.
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
)
# Mistakes of focus-validator 2.2.1 (docs/focus.md) and the rules that rest on them.
KNOWN = {
    "InvoiceId-C-000-O",
    "InvoiceId-C-003-C",
    "InvoiceId-C-004-C",
    "InvoiceId-C-005-C",
    "ConsumedQuantity-C-000-C",
    "ConsumedQuantity-C-003-C",
    "ConsumedQuantity-C-004-C",
    "ConsumedQuantity-C-005-C",
    "ConsumedQuantity-C-006-C",
}
_RULE = re.compile(r"^❌ ([A-Za-z]+-[A-Z]-\d+-[A-Z]): FAIL", re.MULTILINE)
_PASSED = re.compile(r"Total: \d+ \| Pass: (\d+)")


@pytest.fixture(scope="module")
def packages() -> Path:
    """Where the validator is installed: it finds its rules from there alone."""
    found = list(HOME.glob("lib/python3*/site-packages/focus_validator"))
    if not found or not (HOME / "requirements.stamp").exists():
        pytest.skip(
            "focus-validator 2.2.1 needs Python 3.12: with a python3.12 on PATH, "
            "bin/setup --dev installs it into var/focus-venv"
        )
    return found[0].parent


def judged(packages: Path, file: Path) -> tuple[set[str], int]:
    """The rules that a file breaks, and how many it keeps."""
    done = subprocess.run(
        [
            HOME / "bin" / "python",
            "-m",
            "focus_validator.main",
            *("--data-file", file),
            *("--validate-version", "1.2.0.1"),
            "--block-download",
            *("--applicability-criteria", ",".join(CRITERIA)),
        ],
        cwd=packages,
        capture_output=True,
        text=True,
        timeout=300,
    )
    passed = _PASSED.search(done.stdout)
    assert passed, done.stdout[-2000:] + done.stderr[-2000:]
    return set(_RULE.findall(done.stdout)), int(passed[1])


def test_a_month_passes_but_for_the_known_mistakes(
    packages: Path, tmp_path: Path
) -> None:
    write(sample(date(2026, 11, 1)), tmp_path, version="1.2")
    broken, kept = judged(packages, tmp_path / COST_AND_USAGE)
    assert broken - KNOWN == set()
    assert kept > 200


def test_a_wrong_cost_is_found(packages: Path, tmp_path: Path) -> None:
    content = sample(date(2026, 11, 1))
    write(content, tmp_path, version="1.2")
    file = tmp_path / COST_AND_USAGE
    charge = next(one for one in content.charges if one.price and one.quantity)
    assert charge.cost != Decimal(0)
    lines = file.read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")
    cells = lines[1].split(",")
    cells[header.index("BilledCost")] = "1/3"
    file.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]), "utf-8")
    broken, _ = judged(packages, file)
    assert "BilledCost-C-002-M" in broken
