"""Statements as one JSON document, written a statement at a time."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from finops.chargeback.statement import StatementDocument, content
from finops.exports.charges import Month, invoice
from finops.exports.words import moment


def parts(
    month: Month, documents: Iterable[StatementDocument], *, unrated: int = 0
) -> Iterator[bytes]:
    """The month with its statements; amounts are texts, so that no digit is lost.

    ``content`` of a statement is what its digest covers, with the digest before it.
    """
    head = {
        "format": "tollgate-chargeback-1",
        "period": month.name,
        "start": moment(month.start),
        "end": moment(month.end),
        "zone": month.zone,
        "currency": month.currency,
        "draft": not month.closed,
        "unrated": unrated,
    }
    yield f'{json.dumps(head, ensure_ascii=False)[:-1]}, "statements": ['.encode()
    before = ""
    for document in documents:
        text = json.dumps(_statement(document), ensure_ascii=False)
        yield f"{before}\n{text}".encode()
        before = ","
    yield b"\n]}\n"


def _statement(document: StatementDocument) -> dict[str, Any]:
    return {
        "number": invoice(document),
        "state": document.state,
        "digest": document.digest,
        "previous_digest": document.previous_digest,
        "closed_at": moment(document.closed_at),
        "issued_at": moment(document.issued_at),
        "content": content(document),
    }
