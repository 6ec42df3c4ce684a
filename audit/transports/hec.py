"""Splunk HTTP Event Collector."""

import json
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from audit.formats import value
from audit.formats.items import Item
from core.canonical import canonical
from core.outgoing import Answer, NotDelivered, Tls, post

# What Splunk refuses an event for; other refusals are of the token or of the index.
_BAD_EVENT = {5, 6, 12, 13, 15}
_TOO_LARGE = 413
_ACK_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class HecTransport:
    """Sends to ``url`` (without a path), and waits for receipts where they are given.

    A token with indexer acknowledgement answers each batch with an ackId: only when
    that is confirmed is the batch delivered.
    """

    url: str
    token: str = field(repr=False)
    form: str
    index: str
    tls: Tls
    private: Sequence[str]
    seconds: float
    channel: str = field(default_factory=lambda: str(uuid.uuid4()))

    def send(self, items: Sequence[Item]) -> None:
        body = b"".join(canonical(self._wrapped(item)) for item in items)
        answer = self._post("/services/collector/event", body)
        said = _json(answer)
        if answer.status != 200:
            final = answer.status == _TOO_LARGE or (
                answer.status == 400 and said.get("code") in _BAD_EVENT
            )
            raise NotDelivered(
                f"Splunk answered {answer.status}: {str(said.get('text', ''))[:200]}",
                final=final,
            )
        if isinstance(ack := said.get("ackId"), int):
            self._wait_for(ack)

    def _wrapped(self, item: Item) -> dict[str, Any]:
        wrapped = {
            "time": f"{item.at.timestamp():.3f}",
            "source": "tollgate",
            "sourcetype": f"tollgate:{self.form}",
            "event": value(self.form, item),
            "fields": {"tollgate_uid": item.uid},
        }
        return wrapped | ({"index": self.index} if self.index else {})

    def _wait_for(self, ack: int) -> None:
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            answer = self._post("/services/collector/ack", canonical({"acks": [ack]}))
            if _json(answer).get("acks", {}).get(str(ack)) is True:
                return
            time.sleep(_ACK_PAUSE)
        raise NotDelivered(f"Splunk gave no receipt within {self.seconds:g} s.")

    def _post(self, path: str, body: bytes) -> Answer:
        address = urlsplit(self.url)
        return post(
            f"{address.scheme}://{address.netloc}{path}",
            headers={
                "authorization": f"Splunk {self.token}",
                "content-type": "application/json",
                "x-splunk-request-channel": self.channel,
            },
            body=body,
            private=self.private,
            seconds=self.seconds,
            tls=self.tls,
            read=True,
        )


def _json(answer: Answer) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(answer.body)
        if isinstance(found, dict):
            return found
    return {}
