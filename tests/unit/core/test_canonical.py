"""Canonical bytes and keyed digests."""

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

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


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_VALUES)
def test_the_short_way_gives_the_same_bytes_as_the_standard(value: object) -> None:
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


def test_what_json_cannot_hold_becomes_text() -> None:
    assert canonical({"half": "\ud800", "nan": float("nan")}) == (
        b'{"half":"\\\\ud800","nan":"nan"}'
    )
