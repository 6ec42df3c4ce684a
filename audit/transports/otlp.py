"""OpenTelemetry logs over HTTP, in OTLP's JSON encoding (OTLP 1.5)."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from audit.formats import line
from audit.formats.items import PRODUCT, VERSION, Item, Sealed, denied, name_of
from core.canonical import canonical
from core.clock import now
from core.outgoing import NotDelivered, Tls, post

_INFO, _WARN = (9, "INFO"), (13, "WARN")
# A collector that is busy or away answers otherwise, and is asked again.
_REFUSED = {400, 413, 422}


@dataclass(frozen=True, slots=True)
class OtlpTransport:
    """Sends log records to ``url``, such as ``https://collector:4318/v1/logs``."""

    url: str
    authorization: str = field(repr=False)
    form: str
    tls: Tls
    private: Sequence[str]
    seconds: float

    def send(self, items: Sequence[Item]) -> None:
        headers = {"content-type": "application/json", "user-agent": PRODUCT}
        if self.authorization:
            headers["authorization"] = self.authorization
        answer = post(
            self.url,
            headers=headers,
            body=canonical(request(items, self.form)),
            private=self.private,
            seconds=self.seconds,
            tls=self.tls,
            read=True,
        )
        if not 200 <= answer.status < 300:
            raise NotDelivered(
                f"The collector answered {answer.status}.",
                final=answer.status in _REFUSED,
            )
        if rejected := _rejected(answer.body):
            raise NotDelivered(f"The collector refused records: {rejected}", final=True)


def request(items: Sequence[Item], form: str) -> dict[str, Any]:
    """An ExportLogsServiceRequest."""
    records = [_record(item, form) for item in items]
    scope = {"name": "tollgate.audit", "version": VERSION}
    resource = {"attributes": _attributes({"service.name": "tollgate"})}
    return {
        "resourceLogs": [
            {
                "resource": resource,
                "scopeLogs": [{"scope": scope, "logRecords": records}],
            }
        ]
    }


def _record(item: Item, form: str) -> dict[str, Any]:
    number, text = _WARN if denied(item) else _INFO
    known = {"tollgate.uid": item.uid, "tollgate.format": form}
    record = {
        "timeUnixNano": _nanos(item.at.timestamp()),
        "observedTimeUnixNano": _nanos(now().timestamp()),
        "severityNumber": number,
        "severityText": text,
        "eventName": name_of(item),
        "body": {"stringValue": line(form, item)},
    }
    if isinstance(item, Sealed):
        actor = item.facts["actor"]
        known |= {
            "tollgate.index": str(item.index),
            "tollgate.leaf": item.leaf,
            "user.id": actor["id"],
            "client.address": actor.get("address", ""),
            "tollgate.decision": item.facts["decision"],
        }
        if len(trace := str(actor.get("trace_id") or "")) == 32:
            record["traceId"] = trace
    return record | {"attributes": _attributes(known)}


def _attributes(values: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"stringValue": text}}
        for key, text in values.items()
        if text
    ]


def _nanos(seconds: float) -> str:
    return f"{round(seconds * 1_000_000)}000"


def _rejected(body: bytes) -> str:
    """What a partial success says was refused; "" where all was taken."""
    with suppress(ValueError, AttributeError):
        partial = json.loads(body).get("partialSuccess") or {}
        if int(partial.get("rejectedLogRecords") or 0):
            return str(partial.get("errorMessage") or "no reason given")[:200]
    return ""
