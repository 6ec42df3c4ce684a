"""Notes and checkpoints: the specification's forms, and what must be refused."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.notes import BadNote, Checkpoint, Key, Note, check, read, sign
from audit.signing import FileSigner

ROOT = bytes(range(32))
# Go's golang.org/x/mod/sumdb/note gives this example.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvq"
    "fqdngotpRZb6KE6RyyBwJnAM=\n"
)


def signer(name: str = "log.example.org/audit") -> FileSigner:
    return FileSigner(name, Ed25519PrivateKey.generate())


def signed(*signers: FileSigner, size: int = 7) -> str:
    return sign(Checkpoint("log.example.org/audit", size, ROOT), signers)


def test_a_note_of_another_implementation_verifies() -> None:
    key = Key.parse(GO_KEY)

    assert str(key) == GO_KEY
    assert Note.parse(GO_NOTE).signers([key]) == [key]
    with pytest.raises(BadNote, match="not over this text"):
        Note.parse(GO_NOTE.replace("answer", "Answer")).signers([key])


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    one = signer()
    note = signed(one)

    lines = note.split("\n")
    assert lines[:4] == [
        "log.example.org/audit",
        "7",
        b64encode(ROOT).decode(),
        "",
    ]
    assert lines[4].startswith("— log.example.org/audit ")
    assert lines[5:] == [""]
    assert check(note, [one.key]) == (
        Checkpoint("log.example.org/audit", 7, ROOT),
        [one.key],
    )


def test_two_keys_sign_during_an_overlap_and_either_is_enough() -> None:
    old, new = signer(), signer()
    note = signed(new, old)

    assert check(note, [old.key])[1] == [old.key]
    assert check(note, [new.key])[1] == [new.key]
    assert check(note, [old.key, new.key])[1] == [new.key, old.key]


def test_a_key_nobody_trusts_is_no_signer() -> None:
    stranger = signer()
    assert check(signed(stranger), [signer().key])[1] == []


def test_a_known_key_with_a_wrong_signature_spoils_the_note() -> None:
    one, two = signer(), signer()
    forged = signed(one, two).replace("\n7\n", "\n8\n")

    with pytest.raises(BadNote, match="not over this text"):
        check(forged, [two.key])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        f"a\n01\n{b64encode(ROOT).decode()}\n",
        f"a\n-1\n{b64encode(ROOT).decode()}\n",
        f"a\n1\n{b64encode(ROOT[:-1]).decode()}\n",
        f"a\n1\n{b64encode(ROOT).decode()}\nmore\n",
        f"\n1\n{b64encode(ROOT).decode()}\n",
        "a\n1\nno base64!\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n\n", "\n"),
        ("— ", "- "),
        ("\n", "\r\n"),
        ("=\n", "=\n\x00\n"),
        ("audit\n7", "audit\x1b\n7"),
    ],
)
def test_what_is_no_note_is_refused(old: str, new: str) -> None:
    with pytest.raises(BadNote):
        read(signed(signer()).replace(old, new))


def test_a_note_without_its_last_line_end_is_refused() -> None:
    with pytest.raises(BadNote, match="no signature"):
        read(signed(signer())[:-1])


@pytest.mark.parametrize(
    "line",
    [
        "",
        "name",
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("+AR", "+BR"),
        GO_KEY.replace("Peter", "Peter "),
        GO_KEY[:-4],
    ],
)
def test_what_is_no_key_is_refused(line: str) -> None:
    with pytest.raises(BadNote):
        Key.parse(line)
