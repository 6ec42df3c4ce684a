"""A month as a bundle of FOCUS files, written a row at a time."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from finops.chargeback.statement import StatementDocument
from finops.exports import focus12, focus14
from finops.exports.charges import Charge, Month, invoice
from finops.exports.invoices import Details, roundings
from finops.exports.words import moment, number

COST_AND_USAGE = "cost-and-usage.csv"
BILLING_PERIOD = "billing-period.csv"
INVOICE_DETAIL = "invoice-detail.csv"
MANIFEST = "manifest.json"
_LINES_A_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Content:
    """A month to write. ``charges`` are read once, in the order they are written.

    ``unrated`` counts quantities without a price, which are in no file.
    """

    month: Month
    documents: Sequence[StatementDocument]
    charges: Iterable[Charge]
    unrated: int = 0


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    columns: Sequence[str]
    rows: Iterable[Mapping[str, str]]


def parts(content: Content, *, version: str = "1.4") -> Iterator[tuple[str, bytes]]:
    """The files of a bundle in chunks, as (name of the file, bytes); one after another.

    The manifest comes last. Raises Unreconciled where a statement is not the sum of its
    charges: what came until then has no manifest and is to be thrown away.
    """
    files: list[dict[str, Any]] = []
    for table in _tables(content, version):
        digest, rows = hashlib.sha256(), 0
        for count, chunk in _chunks(table):
            rows = count
            digest.update(chunk)
            yield table.name, chunk
        files.append({"name": table.name, "rows": rows, "sha256": digest.hexdigest()})
    manifest = _manifest(content, files, version)
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    yield MANIFEST, f"{text}\n".encode()


def write(content: Content, folder: Path, *, version: str = "1.4") -> None:
    """Write the bundle into a directory, which is made. Raises Unreconciled.

    A bundle that stands there is written over; without its manifest it is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    written: set[str] = set()
    for name, chunk in parts(content, version=version):
        with (folder / name).open("ab" if name in written else "wb") as file:
            file.write(chunk)
        written.add(name)


def archive(content: Content, *, version: str = "1.4") -> Iterator[bytes]:
    """The bundle as a zip archive, as it grows; the same month gives the same bytes."""
    sink = _Sink()
    made = content.month.updated.astimezone(UTC)
    with zipfile.ZipFile(sink, "w") as whole:
        entry, current = None, ""
        for name, chunk in parts(content, version=version):
            if entry is None or name != current:
                if entry is not None:
                    entry.close()
                entry = whole.open(_entry(name, made), "w", force_zip64=True)
                current = name
            entry.write(chunk)
            yield sink.taken()
        if entry is not None:
            entry.close()
    yield sink.taken()


def _entry(name: str, made: datetime) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, made.timetuple()[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._kept += data
        return len(data)

    def taken(self) -> bytes:
        found = bytes(self._kept)
        self._kept.clear()
        return found


def _tables(content: Content, version: str) -> Iterator[_Table]:
    month, details = content.month, Details()
    columns, row_of = focus14.COST_AND_USAGE, focus14.cost_and_usage
    if version == "1.2":
        columns, row_of = focus12.COST_AND_USAGE, focus12.cost_and_usage
    rows = (row_of(month, one) for one in _all(content, details))
    yield _Table(COST_AND_USAGE, columns, rows)
    if version == "1.2":
        return
    yield _Table(
        INVOICE_DETAIL,
        focus14.INVOICE_DETAIL,
        focus14.invoice_details(month, details),
    )
    periods = [focus14.billing_period(month)]
    yield _Table(BILLING_PERIOD, focus14.BILLING_PERIOD, periods)


def _all(content: Content, details: Details) -> Iterator[Charge]:
    yield from details.counted(content.charges)
    yield from details.counted(roundings(content.month, content.documents, details))


def _chunks(table: _Table) -> Iterator[tuple[int, bytes]]:
    """Rows so far, and the bytes since the last chunk."""
    text, rows = io.StringIO(newline=""), 0
    writer = csv.DictWriter(text, table.columns, lineterminator="\r\n")
    writer.writeheader()
    for rows, row in enumerate(table.rows, start=1):
        writer.writerow(row)
        if rows % _LINES_A_CHUNK == 0:
            yield rows, text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield rows, text.getvalue().encode()


def _manifest(
    content: Content, files: Sequence[Mapping[str, Any]], version: str
) -> dict[str, Any]:
    month = content.month
    return {
        "format": f"FOCUS {version}",
        "period": month.name,
        "start": moment(month.start),
        "end": moment(month.end),
        "zone": month.zone,
        "currency": month.currency,
        "draft": not month.closed,
        "unrated": content.unrated,
        "statements": [
            {
                "id": document.uid,
                "number": invoice(document),
                "cost_centre": document.cost_centre,
                "charged": document.charged,
                "total": number(document.total),
                "digest": document.digest,
            }
            for document in content.documents
        ],
        "files": files,
    }
