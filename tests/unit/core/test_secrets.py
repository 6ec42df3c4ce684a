"""Sealed secrets open for their owner alone."""

import pytest

from core.secrets import SealBroken, seal, unseal


def test_what_was_sealed_opens_again() -> None:
    assert unseal(seal({"token": "s3cret"}, owner="a"), owner="a") == {
        "token": "s3cret"
    }


def test_a_ciphertext_moved_to_another_row_is_refused() -> None:
    sealed = seal("s3cret", owner="server:crm")
    with pytest.raises(SealBroken, match="server:evil"):
        unseal(sealed, owner="server:evil")


def test_a_changed_ciphertext_is_refused() -> None:
    sealed = bytearray(seal("s3cret", owner="a"))
    sealed[-1] ^= 1
    with pytest.raises(SealBroken):
        unseal(bytes(sealed), owner="a")


def test_equal_secrets_do_not_look_equal() -> None:
    assert seal("x", owner="a") != seal("x", owner="a")
