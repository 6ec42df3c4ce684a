"""A month as a bundle of FOCUS files, written a row at a time."""

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import IO, Any, Protocol

from finops.chargeback.statement import StatementDocument
from finops.exports import focus12, focus14
from finops.exports.charges import Charge, Month, invoice
from finops.exports.invoices import Details, roundings
from finops.exports.words import moment, number

COST_AND_USAGE = "cost-and-usage.csv"
BILLING_PERIOD = "billing-period.csv"
INVOICE_DETAIL = "invoice-detail.csv"
MANIFEST = "manifest.json"
VERSIONS = ("1.4", "1.2")
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


class Folder(Protocol):
    """Where files go: a directory or an archive."""

    def open(self, name: str) -> IO[bytes]: ...


class Directory:
    """Files in a directory, which is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)

    def open(self, name: str) -> IO[bytes]:
        return (self._path / name).open("wb")


class Archive:
    """Files in a zip archive; the same files give the same bytes."""

    def __init__(self, archive: zipfile.ZipFile, month: Month) -> None:
        self._archive = archive
        self._made = month.updated.astimezone(UTC).timetuple()[:6]

    def open(self, name: str) -> IO[bytes]:
        entry = zipfile.ZipInfo(name, self._made)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        return self._archive.open(entry, "w", force_zip64=True)


@dataclass(frozen=True, slots=True)
class Written:
    """A file of the bundle: rows, and the digest of its bytes."""

    name: str
    rows: int
    sha256: str


def write(content: Content, folder: Folder, *, version: str = "1.4") -> dict[str, Any]:
    """Write the files of a bundle; returns its manifest, which is written last.

    Raises Unreconciled where a statement is not the sum of its charges: what was
    written until then has no manifest and is to be thrown away.
    """
    details = Details()
    month = content.month
    if version == "1.4":
        columns, row_of = focus14.COST_AND_USAGE, focus14.cost_and_usage
    else:
        columns, row_of = focus12.COST_AND_USAGE, focus12.cost_and_usage
    rows = (row_of(month, one) for one in _all(content, details))
    files = [_table(folder, COST_AND_USAGE, columns, rows)]
    if version == "1.4":
        files += [
            _table(
                folder,
                INVOICE_DETAIL,
                focus14.INVOICE_DETAIL,
                focus14.invoice_details(month, details),
            ),
            _table(
                folder,
                BILLING_PERIOD,
                focus14.BILLING_PERIOD,
                [focus14.billing_period(month)],
            ),
        ]
    manifest = _manifest(content, files, version)
    with folder.open(MANIFEST) as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n")
    return manifest


def _all(content: Content, details: Details) -> Iterator[Charge]:
    yield from details.counted(content.charges)
    yield from details.counted(roundings(content.month, content.documents, details))


def _table(
    folder: Folder,
    name: str,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, str]],
) -> Written:
    digest, count = hashlib.sha256(), 0
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\r\n")
    writer.writeheader()
    with folder.open(name) as file:

        def flush() -> None:
            chunk = text.getvalue().encode()
            digest.update(chunk)
            file.write(chunk)
            text.seek(0)
            text.truncate()

        for count, row in enumerate(rows, start=1):
            writer.writerow(row)
            if count % _LINES_A_CHUNK == 0:
                flush()
        flush()
    return Written(name, count, digest.hexdigest())


def _manifest(
    content: Content, files: Iterable[Written], version: str
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
        "files": [
            {"name": file.name, "rows": file.rows, "sha256": file.sha256}
            for file in files
        ],
    }
