"""Canonical bytes and keyed digests."""

from core.canonical import canonical, keyed_digest


def test_keys_are_sorted_and_nothing_is_added() -> None:
    assert canonical({"b": [1, True, None], "a": "é"}) == (
        '{"a":"é","b":[1,true,null]}'.encode()
    )


def test_integers_beyond_53_bits_become_text() -> None:
    assert canonical({"n": 2**60, "small": 7}) == (
        b'{"n":"1152921504606846976","small":7}'
    )


def test_digests_are_bound_to_their_purpose() -> None:
    value = {"a": 1}
    assert keyed_digest(value, purpose="x") == keyed_digest(value, purpose="x")
    assert keyed_digest(value, purpose="x") != keyed_digest(value, purpose="y")
    assert keyed_digest(value, purpose="x") != keyed_digest({"a": 2}, purpose="x")
