"""Batches to an address of one's own, signed as Standard Webhooks says."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from audit.formats import value
from audit.formats.items import Item
from core import webhook
from core.canonical import canonical
from core.clock import now
from core.outgoing import Tls

EVENTS = "audit.events"
_REFUSED = (400, 413, 422)


@dataclass(frozen=True, slots=True)
class WebhookTransport:
    """POSTs ``{"type": "audit.events", "data": {"events": […]}}``.

    The same events have the same ``webhook-id`` however often they are sent.
    """

    url: str
    secret: str = field(repr=False)
    form: str
    tls: Tls
    private: Sequence[str]
    seconds: float

    def send(self, items: Sequence[Item]) -> None:
        at = now()
        named = hashlib.sha256(" ".join(item.uid for item in items).encode())
        body = {
            "type": EVENTS,
            "timestamp": at.isoformat(),
            "data": {
                "format": self.form,
                "events": [value(self.form, item) for item in items],
            },
        }
        webhook.send(
            self.url,
            uid=f"msg_{named.hexdigest()[:32]}",
            timestamp=int(at.timestamp()),
            body=canonical(body),
            secret=self.secret,
            private=self.private,
            seconds=self.seconds,
            tls=self.tls,
            never=_REFUSED,
        )
