"""Sends one signed request, as Standard Webhooks 1.0 says."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from core.outgoing import NotDelivered, Tls, post

_PREFIX = "whsec_"
_SECRET_BYTES = 32
GONE = 410


def new_secret() -> str:
    """A signing secret in the form that receivers' libraries expect."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, *, uid: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` of a message."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{uid}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def send(
    url: str,
    *,
    uid: str,
    timestamp: int,
    body: bytes,
    secret: str,
    private: Sequence[str],
    seconds: float,
    tls: Tls | None = None,
    never: Sequence[int] = (GONE,),
) -> None:
    """POST the message; an answer out of ``never`` is final. Raises NotDelivered."""
    answer = post(
        url,
        headers={
            "user-agent": "Tollgate-Webhooks/1",
            "content-type": "application/json",
            "webhook-id": uid,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(
                secret, uid=uid, timestamp=timestamp, body=body
            ),
        },
        body=body,
        private=private,
        seconds=seconds,
        tls=tls,
    )
    if not 200 <= answer.status < 300:
        raise NotDelivered(
            f"The receiver answered {answer.status}.", final=answer.status in never
        )
