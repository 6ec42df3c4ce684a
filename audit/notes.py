"""Signed notes and checkpoints of transparency logs, as C2SP specifies them.

https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint, with Ed25519
signatures (type 0x01) alone.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519 = b"\x01"
MOST_CHARACTERS = 100_000
_DASH = "\N{EM DASH} "
_NAME = re.compile(r"[^\s+]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_ID_BYTES, _KEY_BYTES, _HASH_BYTES = 4, 32, 32


class BadNote(ValueError):
    """The text is no note, checkpoint or key; the message says what is wrong."""


class Signer(Protocol):
    """A key that signs, wherever it is kept."""

    @property
    def key(self) -> "Key":
        """Its public half."""

    def sign(self, message: bytes) -> bytes:
        """The Ed25519 signature (RFC 8032) of ``message``, 64 bytes."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key with its name; as text it is ``name+id+base64``, a "vkey"."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadNote(f"a key's name has no spaces and no plus: {self.name!r}")
        if len(self.public) != _KEY_BYTES:
            raise BadNote("an Ed25519 public key has 32 bytes")

    def __str__(self) -> str:
        encoded = b64encode(ED25519 + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"

    @property
    def id(self) -> bytes:
        """What signatures name the key by, beside its name."""
        data = self.name.encode() + b"\n" + ED25519 + self.public
        return sha256(data).digest()[:_ID_BYTES]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key in hex, for people to compare."""
        return sha256(self.public).hexdigest()

    @classmethod
    def parse(cls, text: str) -> "Key":
        """The key of a line ``name+id+base64``. Raises BadNote."""
        name, _, rest = text.strip().partition("+")
        number, _, encoded = rest.partition("+")
        data = _decoded(encoded)
        if data[:1] != ED25519:
            raise BadNote("this is no Ed25519 key in the form name+id+base64")
        key = cls(name, data[1:])
        if key.id.hex() != number:
            raise BadNote(f"the id of key {name} does not fit the key: a misprint?")
        return key

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether ``signature`` is this key's."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line of a note."""

    name: str
    key_id: bytes
    bytes: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says about itself: who it is, its number of leaves, their root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """The checkpoint of a note's text. Raises BadNote."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise BadNote("a checkpoint has three lines: origin, size, root")
        root = _decoded(lines[2])
        if not _SIZE.fullmatch(lines[1]) or len(root) != _HASH_BYTES:
            raise BadNote("the size or the root of the checkpoint is not one")
        return cls(lines[0], int(lines[1]), root)


@dataclass(frozen=True, slots=True)
class Note:
    """A text with the signatures under it. Trust it only after ``signers``."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str) -> "Note":
        """Take a note apart. Raises BadNote."""
        if len(note) > MOST_CHARACTERS or any(
            character < " " and character != "\n" for character in note
        ):
            raise BadNote("the note is too long or holds control characters")
        text, blank, below = note.rpartition("\n\n")
        if not blank or not below.endswith("\n"):
            raise BadNote("the note has no signature below a blank line")
        return cls(text + "\n", tuple(map(_signature, below[:-1].split("\n"))))

    def signers(self, trusted: Iterable[Key]) -> list[Key]:
        """Those of ``trusted`` that signed it.

        Raises BadNote when a signature that names one of them is not its.
        """
        known = {(key.name, key.id): key for key in trusted}
        found = []
        for one in self.signatures:
            key = known.get((one.name, one.key_id))
            if key is None:
                continue
            if not key.signed(self.text.encode(), one.bytes):
                raise BadNote(f"the signature by {key.name} is not over this text")
            if key not in found:
                found.append(key)
        return found


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    data = _decoded(encoded)
    if not line.startswith(_DASH) or not _NAME.fullmatch(name):
        raise BadNote("a line below the blank line is no signature")
    if len(data) <= _ID_BYTES:
        raise BadNote("a signature is too short")
    return Signature(name, data[:_ID_BYTES], data[_ID_BYTES:])


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("something that should be base64 is not") from error


def sign(checkpoint: Checkpoint, signers: Sequence[Signer]) -> str:
    """The signed note of a checkpoint, with a line for each signer."""
    return sign_text(checkpoint.text, signers)


def sign_text(text: str, signers: Sequence[Signer]) -> str:
    """The signed note of a text that ends in a new line."""
    lines = [
        f"{_DASH}{signer.key.name} "
        + b64encode(signer.key.id + signer.sign(text.encode())).decode()
        for signer in signers
    ]
    return text + "\n" + "\n".join(lines) + "\n"


def read(note: str) -> Checkpoint:
    """The checkpoint in a note, whoever signed it. Raises BadNote."""
    return Checkpoint.parse(Note.parse(note).text)


def check(note: str, trusted: Iterable[Key]) -> tuple[Checkpoint, list[Key]]:
    """The checkpoint in a note and which trusted keys signed it. Raises BadNote.

    No key at all is an answer, not an error: the caller says what it means.
    """
    taken = Note.parse(note)
    return Checkpoint.parse(taken.text), taken.signers(trusted)
