"""Documents as PDF: title, facts, key figures, paragraphs, tables over many pages.

    render(Document("Denied calls", parts=[Table(columns, rows)]), at=now())

They are tagged for screen readers (PDF/UA-1). Tables repeat their header on each page;
each page has the document's footer and its number.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from core.errors import Unavailable

MOST_ROWS = 1_000
_LONGEST_SECONDS = 60
# The set is serif: Libertinus, then DejaVu Sans Mono for what that lacks, both in the
# package; after them whatever the machine has.
_FONTS = ("Libertinus Serif", "DejaVu Sans Mono")
_PROGRAM = Path(__file__).with_name("typeset.py")
# Each takes up to half a GB for a moment.
_at_once = BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading between parts."""

    words: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    words: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Key figures side by side: (name, value) each, such as ``("Denied", "17")``."""

    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``width`` is its share of the page's width."""

    label: str
    width: float = 1
    right: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text, at most ``MOST_ROWS``; letters of ``size`` points."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    size: float = 7.5


Part = Heading | Paragraph | Figures | Table


@dataclass(frozen=True, slots=True)
class Document:
    """What is printed. ``facts`` stand under the title, ``footer`` on every page."""

    title: str
    lead: str = ""
    facts: Sequence[tuple[str, str]] = ()
    parts: Sequence[Part] = field(default_factory=tuple)
    footer: str = ""
    author: str = "Tollgate"
    landscape: bool = True


def render(document: Document, *, at: datetime) -> bytes:
    """The PDF of a document, made at ``at``. Raises Unavailable, ValueError."""
    body = {
        "at": int(at.timestamp()),
        "document": {
            "title": document.title,
            "lead": document.lead,
            "facts": [list(pair) for pair in document.facts],
            "parts": [_part(part) for part in document.parts],
            "footer": document.footer,
            "author": document.author,
            "landscape": document.landscape,
            "fonts": _FONTS,
        },
    }
    with _at_once:
        return _typeset(json.dumps(body).encode())


def _typeset(body: bytes) -> bytes:
    try:
        done = subprocess.run(
            [sys.executable, "-I", str(_PROGRAM)],
            input=body,
            capture_output=True,
            timeout=_LONGEST_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Unavailable(
            "The PDF took too long to set: choose a shorter period, or take the CSV."
        ) from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace")[-500:]
        raise RuntimeError(f"the PDF could not be set: {said}") from error
    return done.stdout


def _part(part: Part) -> dict[str, Any]:
    match part:
        case Heading(words):
            return {"kind": "heading", "words": words}
        case Paragraph(words):
            return {"kind": "paragraph", "words": words}
        case Figures(pairs):
            return {"kind": "figures", "pairs": [list(pair) for pair in pairs]}
        case Table(columns, rows, size):
            return _table(columns, rows, size)


def _table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], size: float
) -> dict[str, Any]:
    if len(rows) > MOST_ROWS:
        raise ValueError(f"a table in a PDF has at most {MOST_ROWS} rows")
    return {
        "kind": "table",
        "columns": [
            {"label": one.label, "width": one.width, "right": one.right}
            for one in columns
        ],
        "rows": [list(row) for row in rows],
        "size": size,
    }
