"""Keys: their files, their rotation, and what production refuses."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pytest_django.fixtures import Settings

from audit.notes import BadNote, Key
from audit.signing import FileSigner, NoKey, keys_in, new_key, signers, trusted_keys


class Vault:
    """A stand-in for a key that never leaves its keeper."""

    _private = Ed25519PrivateKey.from_private_bytes(bytes(32))

    @property
    def key(self) -> Key:
        return Key("vault", self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


@pytest.fixture(autouse=True)
def place(settings: Settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    settings.AUDIT_KEY_FILES = settings.AUDIT_TRUSTED_KEYS = []
    settings.AUDIT_SIGNER = ""
    return tmp_path


def test_development_makes_its_key_once_and_for_its_owner_alone(place: Path) -> None:
    (made,) = signers()
    (again,) = signers()

    assert again.key == made.key
    assert trusted_keys() == [made.key]
    assert stat.S_IMODE((place / "audit/seal.key").stat().st_mode) == 0o600


def test_production_signs_with_no_key_of_its_own_making(
    settings: Settings, place: Path
) -> None:
    settings.PRODUCTION = True

    with pytest.raises(NoKey, match="set TOLLGATE_AUDIT_KEY_FILE"):
        signers()
    assert not (place / "audit").exists()
    assert trusted_keys() == []


def test_a_rotation_signs_with_both_and_trusts_both(
    settings: Settings, place: Path
) -> None:
    settings.PRODUCTION = True
    old, new = new_key(place / "old", "log"), new_key(place / "new", "log")
    settings.AUDIT_KEY_FILES = [str(place / "new"), str(place / "old")]
    assert [one.key for one in signers()] == [new.key, old.key]
    assert trusted_keys() == [new.key, old.key]

    # After the overlap the old one only verifies.
    settings.AUDIT_KEY_FILES = [str(place / "new")]
    settings.AUDIT_TRUSTED_KEYS = [str(old.key)]
    assert [one.key for one in signers()] == [new.key]
    assert trusted_keys() == [old.key, new.key]


def test_a_key_is_never_overwritten(place: Path) -> None:
    new_key(place / "key", "log")
    with pytest.raises(FileExistsError):
        new_key(place / "key", "log")


def test_a_key_file_survives_reading_and_shows_no_secret(place: Path) -> None:
    made = new_key(place / "key", "log")

    assert FileSigner.parse((place / "key").read_text()).line == made.line
    assert keys_in(place / "key.pub") == [made.key]
    assert made.line.rpartition("+")[2] not in repr(made)


@pytest.mark.parametrize(
    "line",
    ["", "PRIVATE+KEY+log", "PRIVATE+KEY+log+00000000+AAAA", "PRIVATE+KEY+l+0+AQ=="],
)
def test_a_broken_key_file_is_named(line: str, settings: Settings, place: Path) -> None:
    with pytest.raises(BadNote):
        FileSigner.parse(line)
    (place / "key").write_text(line)
    settings.AUDIT_KEY_FILES = [str(place / "key")]
    with pytest.raises(NoKey, match="cannot be used"):
        signers()
    settings.AUDIT_KEY_FILES = [str(place / "gone")]
    with pytest.raises(NoKey, match="cannot be read"):
        signers()


def test_a_key_file_of_public_keys_may_have_comments(place: Path) -> None:
    key = new_key(place / "key", "log").key
    (place / "list").write_text(f"# of 2026\n\n{key}\n")

    assert keys_in(place / "list") == [key]
    (place / "list").write_text("# nothing\n")
    with pytest.raises(NoKey, match="no public key"):
        keys_in(place / "list")
    (place / "list").write_text("log+00000000+AAAA\n")
    with pytest.raises(NoKey, match="cannot be used"):
        keys_in(place / "list")


def test_a_class_of_ones_own_signs(settings: Settings) -> None:
    settings.PRODUCTION = True
    settings.AUDIT_SIGNER = f"{__name__}.Vault"
    (vault,) = signers()

    assert vault.key.signed(b"x", vault.sign(b"x"))
    assert trusted_keys() == [vault.key]
    settings.AUDIT_SIGNER = "nowhere.Vault"
    with pytest.raises(NoKey, match="cannot be imported"):
        signers()
