"""Months and statements as files of every form, by service and command."""

import csv
import io
import json
import zipfile
from collections.abc import Iterable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pypdf
import pytest
from django.core.management import CommandError, call_command
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from audit.models import Event
from core.errors import Invalid
from core.money import total
from finops.chargeback.statement import digest_of
from finops.exports.bundle import MANIFEST
from finops.exports.invoices import Unreconciled
from finops.models import StatementLine
from finops.selectors.statements import document_of
from finops.services import adjustments, closing
from finops.services.chargeback_exports import (
    FORMS,
    STATEMENT_FORMS,
    download_month,
    download_statement,
)
from tests.builders.chargeback import (
    AFTER_OCTOBER,
    CONTROLLER,
    IN_OCTOBER,
    OCTOBER,
    make_built,
    make_centre,
    make_closed,
    statement_of,
)
from tests.builders.finops import make_usage

pytestmark = pytest.mark.django_db
HOSTILE = '=HYPERLINK("http://evil.example")'
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture
def october() -> None:
    """A closed month with a name that looks like a formula."""
    make_centre("CC-support", name=HOSTILE)
    make_usage(cost="1.004999999999", at=IN_OCTOBER, team="sales")
    make_usage("tool/crm.read", "3", cost="0.5", at=IN_OCTOBER)
    make_built()
    adjustments.adjust(
        month=OCTOBER,
        centre="CC-support",
        kind="credit",
        amount=Decimal("-0.25"),
        reason=HOSTILE,
        actor=CONTROLLER,
        at=AFTER_OCTOBER,
    )
    make_closed()
    closing.issue(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)


def body(response: HttpResponseBase) -> bytes:
    if isinstance(response, StreamingHttpResponse):
        return b"".join(cast(Iterable[bytes], response.streaming_content))
    assert isinstance(response, HttpResponse)
    return response.content


def downloaded(form: str) -> bytes:
    return body(
        download_month(month=OCTOBER, form=form, actor=CONTROLLER, at=AFTER_OCTOBER)
    )


def command(form: str, output: Path, period: str = "2026-10") -> str:
    said = StringIO()
    call_command(
        "export_chargeback",
        *("--period", period, "--format", form, "--output", str(output)),
        stdout=said,
    )
    return said.getvalue()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_by_command_and_by_download(
    october: None, tmp_path: Path, form: str
) -> None:
    output = tmp_path / ("month.zip" if form.startswith("focus") else "month.file")

    said = command(form, output)

    assert said.startswith("Closed: 2026-10, 2 statements, 1.25 USD, written to")
    if form in {"xlsx", "pdf"}:
        assert len(output.read_bytes()) > 4000
    else:
        assert output.read_bytes() == downloaded(form)
    events = Event.objects.filter(name="chargeback.exported", target_id="2026-10")
    assert {json.loads(event.body)["payload"]["form"] for event in events} == {form}
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_focus_goes_into_a_directory(october: None, tmp_path: Path) -> None:
    command("focus", tmp_path / "bundle")

    names = sorted(path.name for path in (tmp_path / "bundle").iterdir())
    assert names == [
        *("billing-period.csv", "cost-and-usage.csv"),
        *("invoice-detail.csv", "manifest.json"),
    ]


def test_an_open_month_is_a_draft_and_says_so(tmp_path: Path) -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_usage(cost=None, at=IN_OCTOBER)

    said = command("focus", tmp_path / "bundle")

    assert said.startswith("DRAFT: 2026-10, 1 statements, 1.00 USD")
    assert "1 quantities without a price are in no file" in said
    manifest = json.loads((tmp_path / "bundle" / MANIFEST).read_text())
    assert (manifest["draft"], manifest["unrated"]) == (True, 1)
    pdf = text_of(downloaded("pdf"))
    assert "DRAFT: the month is open" in pdf


@pytest.mark.parametrize(
    ("period", "said"),
    [("2026-13", "is no month"), ("2031-01", "There is no such month")],
)
def test_a_month_that_is_none_is_refused(
    tmp_path: Path, period: str, said: str
) -> None:
    with pytest.raises(CommandError, match=said):
        command("csv", tmp_path / "month.csv", period)

    assert list(tmp_path.iterdir()) == []


def test_what_does_not_add_up_leaves_no_file(tmp_path: Path) -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_built()
    StatementLine.objects.update(cost=Decimal("1.01"))

    with pytest.raises(Unreconciled):
        downloaded("focus")
    for output in (tmp_path / "month.zip", tmp_path / "bundle"):
        with pytest.raises(CommandError, match="add up to"):
            command("focus", output)

    assert not (tmp_path / "month.zip").exists()
    assert not (tmp_path / "bundle" / MANIFEST).exists()


def test_the_csv_is_exact_and_harmless(october: None) -> None:
    rows = list(csv.DictReader(io.StringIO(downloaded("csv").decode())))

    assert [(row["cost"], row["billed"]) for row in rows] == [
        ("1.004999999999", "1.00"),
        ("0.5", "0.50"),
        ("-0.25", "-0.25"),
    ]
    assert {row["cost_centre_name"] for row in rows} == {"CC-sales", f"'{HOSTILE}"}
    assert rows[2]["reason"] == f"'{HOSTILE}"


def test_the_json_can_be_held_against_its_digests(october: None) -> None:
    told = json.loads(downloaded("json"))

    assert (told["period"], told["draft"]) == ("2026-10", False)
    document = document_of(statement_of("CC-support"))
    (mine,) = [
        one
        for one in told["statements"]
        if one["content"]["cost_centre"] == "CC-support"
    ]
    assert mine["digest"] == digest_of(document) == document.digest
    assert mine["content"]["total"] == "0.25"


def test_the_workbook_has_numbers_dates_and_no_formula(october: None) -> None:
    with zipfile.ZipFile(io.BytesIO(downloaded("xlsx"))) as book:
        names = _xml(book, "xl/workbook.xml")
        sheets = [
            _xml(book, f"xl/worksheets/sheet{number}.xml") for number in (1, 2, 3)
        ]
        whole = b"".join(book.read(name) for name in book.namelist())

    assert [one.get("name") for one in names.iter(f"{_SHEET}sheet")] == [
        *("Summary", "Lines", "Usage"),
    ]
    assert not [one for sheet in sheets for one in sheet.iter(f"{_SHEET}f")]
    assert HOSTILE.replace('"', "&quot;").encode() in whole or HOSTILE.encode() in whole
    usage = [cells(row) for row in sheets[2].iter(f"{_SHEET}row")]
    assert usage[1]["C"] == 46307  # 2026-10-12 as Excel counts days
    assert total(Decimal(str(row["N"])) for row in usage[1:]) == Decimal(
        "1.254999999999"
    )


def test_the_statement_reads_as_finance_would_send_it(october: None) -> None:
    statement = statement_of("CC-support")
    response = download_statement(
        statement=statement, form="pdf", actor=CONTROLLER, at=AFTER_OCTOBER
    )

    assert response["Content-Disposition"].endswith(
        'filename="statement-2026-10-CC-support.pdf"'
    )
    read = pypdf.PdfReader(io.BytesIO(body(response)))
    text = text_of(body(response))
    for words in (
        f"Statement of usage {statement.number}",
        "2026-10-01 to 2026-10-31 (UTC)",
        f"{HOSTILE} (CC-support)",
        statement.digest,
        "Own usage: 0.50 USD",
        "Credits: -0.25 USD",
        "Total:\n0.25 USD",
        "disputes it, naming the runs",
    ):
        assert words in text
    assert "/StructTreeRoot" in cast(dict[str, Any], read.trailer["/Root"])


@pytest.mark.parametrize("form", STATEMENT_FORMS)
def test_a_statement_alone_holds_no_other(october: None, form: str) -> None:
    found = body(
        download_statement(
            statement=statement_of("CC-sales"),
            form=form,
            actor=CONTROLLER,
            at=AFTER_OCTOBER,
        )
    )
    text = text_of(found) if form == "pdf" else found.decode()
    assert "CC-sales" in text
    assert "CC-support" not in text
    event = Event.objects.get(name="chargeback.exported")
    assert event.target_id == statement_of("CC-sales").uid


def test_an_unknown_form_is_refused(october: None) -> None:
    with pytest.raises(Invalid, match="Unknown export 'doc'"):
        downloaded("doc")
    with pytest.raises(Invalid, match="Unknown export 'xlsx'"):
        download_statement(
            statement=statement_of("CC-sales"),
            form="xlsx",
            actor=CONTROLLER,
            at=AFTER_OCTOBER,
        )
    assert not Event.objects.filter(name="chargeback.exported").exists()


def text_of(content: bytes) -> str:
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    return "\n".join(page.extract_text() for page in pages)


def cells(row: ElementTree.Element) -> dict[str, float]:
    """The numbers of a row by the letter of their column."""
    return {
        cell.attrib["r"].rstrip("0123456789"): float(value.text or 0)
        for cell in row.iter(f"{_SHEET}c")
        if cell.get("t", "n") == "n" and (value := cell.find(f"{_SHEET}v")) is not None
    }


def _xml(book: zipfile.ZipFile, name: str) -> ElementTree.Element:
    return ElementTree.fromstring(book.read(name))  # noqa: S314 - our own file
