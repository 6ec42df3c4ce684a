"""Documents as PDF, read back."""

import io
from datetime import UTC, datetime
from typing import Any

import pypdf
import pytest

from core.pdf import (
    MOST_ROWS,
    Column,
    Document,
    Figures,
    Heading,
    Paragraph,
    Part,
    Table,
    render,
)

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
COLUMNS = (Column("Tool", 2), Column("Calls", right=True))


def made(*parts: Part) -> pypdf.PdfReader:
    document = Document(
        "Denied calls",
        lead="What was refused.",
        facts=[("Organisation", "Example Ltd")],
        parts=parts,
        footer="Denied calls · made by Carol",
    )
    return pypdf.PdfReader(io.BytesIO(render(document, at=AT)))


def text_of(page: pypdf.PageObject) -> str:
    return page.extract_text()


def test_a_document_has_its_title_facts_figures_and_words() -> None:
    read = made(
        Figures([("Denied", "17"), ("Teams", "3")]),
        Heading("By tool"),
        Paragraph("Newest first."),
        Table(COLUMNS, [["crm.refund", "12"], ["crm.drop", "5"]]),
    )
    text = text_of(read.pages[0])
    for words in (
        "What was refused.",
        "Organisation Example Ltd",
        "Denied:\n17",
        "By tool",
        "Newest first.",
        "crm.refund 12",
        "crm.drop 5",
        "Page 1 of 1",
        "Denied calls · made by Carol",
    ):
        assert words in text
    assert read.metadata is not None
    assert read.metadata.title == "Denied calls"
    assert read.metadata.creation_date == AT


def test_a_table_goes_over_pages_with_its_header_on_each() -> None:
    rows = [[f"crm.tool_{number}", str(number)] for number in range(120)]
    read = made(Table(COLUMNS, rows))
    pages = [text_of(page) for page in read.pages]
    assert len(pages) > 2
    for number, page in enumerate(pages, start=1):
        assert "Tool Calls" in page
        assert f"Page {number} of {len(pages)}" in page
        assert "made by Carol" in page
    whole = "\n".join(pages)
    assert [row[0] for row in rows if row[0] not in whole] == []


def test_words_are_never_markup() -> None:
    hostile = '#read("/etc/passwd") *bold* $x$ @ref <label> // note \\u{41} = head'
    read = made(Paragraph(hostile), Table(COLUMNS, [[hostile, "#pagebreak()"]]))
    text = " ".join(text_of(read.pages[0]).split())
    assert text.count(hostile) == 2
    assert "#pagebreak()" in text


def test_a_long_identifier_breaks_over_lines_and_is_copied_whole() -> None:
    name = "run_" + "0123456789abcdef" * 12
    read = made(Table([Column("Run"), *COLUMNS, *COLUMNS], [[name, "", "", "", ""]]))
    assert name in text_of(read.pages[0]).replace("\n", "")


def test_letters_of_many_scripts_are_there_and_a_missing_font_is_no_failure() -> None:
    words = "Łódź Ελλάδα Київ naïve → ✓ ½ €"
    text = text_of(made(Paragraph(words)).pages[0])
    assert words in text
    # A character that no font has: unassigned, so that no machine can show it.
    assert "after" in text_of(made(Paragraph("before \U0003fffd after")).pages[0])


def test_it_is_tagged_for_screen_readers() -> None:
    read = made(Heading("By tool"), Table(COLUMNS, [["crm.refund", "12"]]))
    root: Any = read.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en-GB"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert b"pdfuaid:part" in root["/Metadata"].get_object().get_data()
    kinds = _kinds(root["/StructTreeRoot"])
    assert {"/H1", "/Table", "/TH", "/TD", "/TR", "/P"} <= kinds


def _kinds(node: object) -> set[str]:
    found: set[str] = set()
    if isinstance(node, pypdf.generic.IndirectObject):
        node = node.get_object()
    if isinstance(node, pypdf.generic.DictionaryObject):
        if "/S" in node:
            found.add(str(node["/S"]))
        if "/K" in node:
            found |= _kinds(node["/K"])
    elif isinstance(node, pypdf.generic.ArrayObject):
        for one in node:
            found |= _kinds(one)
    return found


def test_a_table_that_is_too_long_is_refused() -> None:
    rows = [["crm.refund", "1"]] * (MOST_ROWS + 1)
    with pytest.raises(ValueError, match="at most"):
        render(Document("Long", parts=[Table(COLUMNS, rows)]), at=AT)
