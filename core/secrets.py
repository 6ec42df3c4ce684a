"""Seals secrets for storage: AES-256-GCM bound to the row they belong to."""

import hashlib
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from core.errors import TollgateError

_NONCE_BYTES = 12


class SealBroken(TollgateError):
    """A stored secret does not open with this installation's key."""

    code = "seal_broken"
    status = 500


def _cipher() -> AESGCM:
    return AESGCM(hashlib.sha256(f"seal:{settings.SECRET_KEY}".encode()).digest())


def seal(value: Any, *, owner: str) -> bytes:
    """Encrypt a JSON value; it opens only for the same ``owner``.

    The owner is associated data, so that a ciphertext copied to another row is
    refused.
    """
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher().encrypt(nonce, json.dumps(value).encode(), owner.encode())


def unseal(sealed: bytes, *, owner: str) -> Any:
    """Decrypt what ``seal`` made. Raises SealBroken."""
    blob = bytes(sealed)
    try:
        text = _cipher().decrypt(
            blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], owner.encode()
        )
    except InvalidTag as error:
        raise SealBroken(
            f"The stored secret of {owner} does not open with TOLLGATE_SECRET_KEY. "
            "Restore the key, or enter the secret again."
        ) from error
    return json.loads(text)
