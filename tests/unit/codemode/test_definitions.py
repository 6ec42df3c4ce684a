import hashlib
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codemode.definitions import (
    MAX_ALIAS,
    fingerprint,
    propose_effect,
    safe_alias,
)
from tests.unit.codemode.makers import make_list_orders


def make_fingerprint(schema: dict[str, object], description: str = "") -> str:
    return fingerprint(
        name="x",
        description=description,
        input_schema=schema,
        output_schema=None,
        annotations={},
    )


def test_full_name_joins_server_and_name() -> None:
    assert make_list_orders().full_name == "crm.list_orders"


def test_a_fingerprint_is_the_digest_of_the_canonical_bytes() -> None:
    canonical = (
        b'{"annotations":{},"description":"","inputSchema":{"a":1,"b":0.5},'
        b'"name":"x","outputSchema":null}'
    )
    assert (
        make_fingerprint({"b": 0.5, "a": 1.0}) == hashlib.sha256(canonical).hexdigest()
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"maximum": 2**64}, {"maximum": 2**64 + 1}),
        ({"default": float("nan")}, {"default": None}),
        ({"title": "\ud800"}, {"title": "\ud801"}),
        ({"maximum": 1}, {"maximum": 2}),
        ({"default": True}, {"default": 1}),
    ],
)
def test_definitions_that_differ_have_different_fingerprints(
    one: dict[str, object], other: dict[str, object]
) -> None:
    assert make_fingerprint(one) != make_fingerprint(other)


def test_keys_that_are_numbers_are_taken_as_text() -> None:
    assert make_fingerprint({1: "a"}) == make_fingerprint({"1": "a"})  # type: ignore[dict-item]


def test_a_schema_nested_too_deeply_is_refused_with_a_reason() -> None:
    schema: dict[str, object] = {}
    for _ in range(5000):
        schema = {"items": schema}
    with pytest.raises(ValueError, match="nested too deeply"):
        make_fingerprint(schema)


@pytest.mark.parametrize(
    ("original", "alias"),
    [
        ("list_orders", "list_orders"),
        ("listOrders", "listOrders"),
        ("repos/list-for-org", "repos_list_for_org"),
        ("from", "from_"),
        ("None", "None_"),
        ("page[limit]", "page_limit"),
        ("2fa.enable", "n2fa_enable"),
        ("__class__", "class_"),
        ("création", "creation"),
        ("中文", "tool"),
        ("", "tool"),
    ],
)
def test_an_alias_stays_close_to_the_name(original: str, alias: str) -> None:
    assert safe_alias(original, set()) == alias


@given(st.lists(st.text(max_size=120), unique=True, max_size=30))
def test_aliases_are_identifiers_and_never_collide(names: list[str]) -> None:
    taken: set[str] = set()
    for name in names:
        alias = safe_alias(name, taken)
        assert alias.isidentifier()
        assert alias.isascii()
        assert not keyword.iskeyword(alias)
        assert not alias.startswith("_")
        assert alias not in taken
        assert alias == safe_alias(name, taken)
        taken.add(alias)


def test_names_that_differ_after_the_cut_stay_apart() -> None:
    start = "deleteCoreV1CollectionNamespaced" * 4
    one, other = safe_alias(f"{start}A", set()), safe_alias(f"{start}B", set())
    assert one != other
    assert max(len(one), len(other)) <= MAX_ALIAS


def test_even_a_name_whose_every_alias_is_taken_gets_one() -> None:
    taken: set[str] = set()
    for _ in range(8):
        taken.add(safe_alias("a-b", taken))
    assert len(taken) == 8


@pytest.mark.parametrize(
    ("annotations", "effect"),
    [
        ({"readOnlyHint": True}, "read"),
        ({"readOnlyHint": True, "idempotentHint": True}, "read"),
        ({"readOnlyHint": False, "idempotentHint": True}, "idempotent_write"),
        ({"readOnlyHint": "true"}, "write"),
        ({"destructiveHint": False}, "write"),
        ({}, "write"),
    ],
)
def test_the_effect_is_proposed_from_the_hints(
    annotations: dict[str, object], effect: str
) -> None:
    assert propose_effect(annotations) == effect
