"""The keys that sign checkpoints, and those that verification trusts.

A key file holds one line, ``PRIVATE+KEY+name+id+base64``, as Go's sumdb tools write it.
A KMS or an HSM is a class of your own, named by TOLLGATE_AUDIT_SIGNER, that fulfils
``audit.notes.Signer``.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.utils.module_loading import import_string

from audit.notes import ED25519, BadNote, Key, Signer
from core.errors import TollgateError

_PRIVATE = "PRIVATE+KEY"
_PUBLIC = ".pub"


class NoKey(TollgateError):
    """The key to sign with is missing or cannot be used."""

    code = "no_audit_key"
    status = 500


@dataclass(frozen=True, slots=True)
class FileSigner:
    """A private key in the memory of this process, as a rule from a file."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def key(self) -> Key:
        return Key(self.name, self.private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message)

    @property
    def line(self) -> str:
        """The private key as text: a secret."""
        seed = b64encode(ED25519 + self.private.private_bytes_raw()).decode()
        return f"{_PRIVATE}+{self.name}+{self.key.id.hex()}+{seed}"

    @classmethod
    def parse(cls, line: str) -> "FileSigner":
        """The key of a line as ``line`` writes it. Raises BadNote."""
        words = line.strip().removeprefix(f"{_PRIVATE}+").split("+", 2)
        if not line.startswith(_PRIVATE) or len(words) != 3:
            raise BadNote(f"it does not begin with {_PRIVATE}+name+id+")
        name, number, encoded = words
        with suppress(ValueError):
            seed = b64decode(encoded, validate=True)
            if seed[:1] == ED25519:
                made = cls(name, Ed25519PrivateKey.from_private_bytes(seed[1:]))
                if made.key.id.hex() == number:
                    return made
        raise BadNote("it is no Ed25519 key, or its id does not fit")


def new_key(path: Path, name: str) -> FileSigner:
    """Make a key, for its owner's eyes alone, with its public half beside it.

    Raises FileExistsError: a key is never overwritten.
    """
    made = FileSigner(name, Ed25519PrivateKey.generate())
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, made.line, 0o600)
    _write(path.with_name(path.name + _PUBLIC), str(made.key), 0o644)
    return made


def _write(path: Path, line: str, mode: int) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as f:
        f.write(line + "\n")
        f.flush()
        os.fsync(f.fileno())


def signers() -> list[Signer]:
    """Who signs checkpoints now, the main key first; more during a rotation.

    Outside production a missing key is made. Raises NoKey.
    """
    if settings.AUDIT_SIGNER:
        return [_own_class()]
    if settings.AUDIT_KEY_FILES:
        return [_load(Path(name)) for name in settings.AUDIT_KEY_FILES]
    if settings.PRODUCTION:
        raise NoKey(
            "Nothing to sign the audit trail with: set TOLLGATE_AUDIT_KEY_FILE to a "
            "file made with 'manage.py seal_audit --new-key FILE', or "
            "TOLLGATE_AUDIT_SIGNER to a class of yours."
        )
    path = _development_key()
    with suppress(FileExistsError):
        new_key(path, settings.AUDIT_ORIGIN)
    return [_load(path)]


def trusted_keys() -> list[Key]:
    """The public keys that verification accepts; they never come from the database.

    Those of TOLLGATE_AUDIT_TRUSTED_KEYS, and those of the key files at hand. Raises
    NoKey for one that cannot be read.
    """
    found = [_public(line) for line in settings.AUDIT_TRUSTED_KEYS]
    if settings.AUDIT_SIGNER and not found:
        found.append(_own_class().key)
    for name in settings.AUDIT_KEY_FILES:
        found.append(_load(Path(name)).key)
    if not settings.PRODUCTION:
        files = _development_key().parent.glob(f"*{_PUBLIC}")
        found += [_public(path.read_text()) for path in sorted(files)]
    return list(dict.fromkeys(found))


def keys_in(path: Path) -> list[Key]:
    """The public keys of a file, one a line; empty lines and # are left out.

    Raises NoKey.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NoKey(f"The key file {path} cannot be read: {error}") from error
    kept: Sequence[str] = [line.strip() for line in lines]
    found = [_public(line) for line in kept if line and not line.startswith("#")]
    if not found:
        raise NoKey(f"There is no public key in {path}.")
    return found


def _public(line: str) -> Key:
    try:
        return Key.parse(line)
    except BadNote as error:
        raise NoKey(
            f"A trusted audit key cannot be used: {error}. Write name+id+base64, as "
            "'manage.py seal_audit --public' shows it."
        ) from error


def _load(path: Path) -> FileSigner:
    try:
        return FileSigner.parse(path.read_text())
    except OSError as error:
        why = error.strerror or "no such file"
        raise NoKey(
            f"The audit key {path} cannot be read: {why}. Mend the path in "
            "TOLLGATE_AUDIT_KEY_FILE or its permissions."
        ) from error
    except (BadNote, UnicodeDecodeError) as error:
        raise NoKey(f"The audit key {path} cannot be used: {error}.") from error


def _own_class() -> Signer:
    try:
        made: Signer = import_string(settings.AUDIT_SIGNER)()
    except ImportError as error:
        raise NoKey(
            f"TOLLGATE_AUDIT_SIGNER names {settings.AUDIT_SIGNER}, which cannot be "
            f"imported: {error}"
        ) from error
    return made


def _development_key() -> Path:
    return Path(settings.DATA_DIR) / "audit" / "seal.key"
