"""Differences of rule sets, three-way merges, and rules as YAML."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Invalid
from policy import documents
from policy.rule_diff import diff, merge

A: dict[str, Any] = {"id": "a", "effect": "deny", "select": {"tools": ["x.y"]}}
B: dict[str, Any] = {"id": "b", "effect": "deny"}
IDS = st.sampled_from("abcd")
SETS = st.dictionaries(IDS, st.integers(0, 2)).map(
    lambda found: [{"id": name, "title": str(found[name])} for name in sorted(found)]
)


def test_a_change_names_its_fields_and_those_inside() -> None:
    changed = {**A, "select": {"tools": ["x.z"]}, "when": "true"}
    (change,) = diff([A, B], [B, changed])
    assert (change.rule, change.kind) == ("a", "changed")
    assert change.fields == {
        "select.tools": (["x.y"], ["x.z"]),
        "when": (None, "true"),
    }
    assert [(one.rule, one.kind) for one in diff([A], [B])] == [
        ("a", "removed"),
        ("b", "added"),
    ]
    assert diff([A, B], [B, A]) == ()


@pytest.mark.parametrize(
    ("live", "mine", "take", "merged", "conflicts"),
    [
        ([A, B], [A], {}, [A, B], ()),
        ([B], [A, {**B, "when": "true"}], {}, [{**B, "when": "true"}], ("b",)),
        ([], [A], {}, [], ()),
        ([A], [], {}, [], ()),
        ([{**A, "title": "1"}], [{**A, "title": "1"}], {}, [{**A, "title": "1"}], ()),
        ([{**A, "title": "1"}], [], {}, [{**A, "title": "1"}], ("a",)),
        ([{**A, "title": "1"}], [], {"a": "mine"}, [], ()),
        ([{**A, "title": "1"}], [], {"a": "live"}, [{**A, "title": "1"}], ()),
    ],
)
def test_two_peoples_changes_are_joined_rule_by_rule(
    live: list[Any], mine: list[Any], take: dict[str, str], merged: list[Any],
    conflicts: tuple[str, ...],
) -> None:  # fmt: skip
    found = merge(base=[A], live=live, mine=mine, take=take)
    assert found.conflicts == conflicts
    if not conflicts:
        assert found.rules == merged


@given(SETS, SETS, SETS)
def test_a_merge_keeps_what_only_one_side_changed(
    base: list[Any], live: list[Any], mine: list[Any]
) -> None:
    found = merge(base=base, live=live, mine=mine, take={})
    assert merge(base=base, live=live, mine=base, take={}).rules == live
    assert merge(base=base, live=base, mine=mine, take={}).rules == mine
    both = {one.rule for one in diff(base, live)} & {
        one.rule for one in diff(base, mine)
    }
    assert set(found.conflicts) <= both
    resolved = dict.fromkeys(found.conflicts, "mine")
    assert merge(base=base, live=live, mine=mine, take=resolved).conflicts == ()


def test_yaml_keeps_texts_that_look_like_something_else() -> None:
    rules: list[dict[str, Any]] = [
        {"id": "no", "title": "17:00", "message": "2026-12-25", "when": "a\n|| b\n"},
        {"id": "007", "title": "1e3", "message": "~", "select": {"teams": ["on"]}},
        {"id": "nel", "title": "a\x85b", "message": "a\n\x85 b"},
        {"id": "x", "enabled": False, "limit": {"result_bytes": 10}},
    ]
    text = documents.write(rules, version=3)
    assert text.startswith("# Rules of Tollgate, version 3\nrules:\n")
    assert documents.read(text) == rules


def test_yaml_written_by_hand_reads_scalars_as_json_does() -> None:
    text = "rules:\n- {id: no, from: 17:00, at: 2026-12-25, on: true, n: 012, m: 12}"
    assert documents.read(text) == [
        {
            "id": "no",
            "from": "17:00",
            "at": "2026-12-25",
            "on": True,
            "n": "012",
            "m": 12,
        }
    ]
    assert documents.read('{"rules": [{"id": "a"}]}') == [{"id": "a"}]
    assert documents.read("rules:") == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules: [", "no YAML in line 1"),
        ("- a", 'one field, "rules"'),
        ("rules: []\nmore: 1", 'one field, "rules"'),
        ("rules: [&a [1], *a]", "aliases"),
        ("rules:\n- id: a\n  id: b", "id stands twice"),
        ("rules: !!python/object:os.system x", "no YAML"),
        ("rules: " + "[" * 5000, "no YAML"),
        ("x" * 2_000_001, "2,000,000"),
        ("rules:\n- {? [a] : b}", "no YAML"),
    ],
)
def test_what_is_no_document_is_refused(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        documents.read(text)
