import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Invalid, NotFound
from gateway.codemode import paths, tokens
from gateway.codemode.truncate import MIN_BYTES, fit, page

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=80)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(st.text(max_size=20), inner, max_size=8)
    ),
    max_leaves=40,
)


def dump(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="surrogatepass")


@settings(max_examples=150, deadline=None)
@given(JSON_VALUES, st.integers(min_value=0, max_value=1500))
def test_what_is_cut_is_json_within_its_budget(value: Any, budget: int) -> None:
    found, cut = fit(value, max_bytes=budget)
    limit = max(budget, MIN_BYTES)
    assert len(dump(found)) <= limit
    assert json.loads(dump(found)) == found
    assert (cut is None) == (len(dump(value)) <= limit)
    if cut is None:
        assert found is value


@settings(max_examples=30, deadline=None)
@given(JSON_VALUES, st.integers(min_value=40, max_value=300))
def test_a_budget_of_tokens_holds(value: Any, budget: int) -> None:
    found, _ = fit(value, max_tokens=budget)
    size = len(dump(found))
    assert tokens.count(dump(found).decode()) <= budget or size <= MIN_BYTES


def test_a_long_list_keeps_its_head_and_says_how_to_go_on() -> None:
    rows = [{"id": n} for n in range(10_000)]
    found, cut = fit({"count": 10_000, "rows": rows}, max_bytes=200)
    assert found["count"] == 10_000
    assert found["rows"][:3] == [{"id": 0}, {"id": 1}, {"id": 2}]
    shown = len(found["rows"]) - 1
    assert found["rows"][-1] == f"... {10_000 - shown:,} more items"
    assert cut is not None
    assert cut.original_bytes == len(dump({"count": 10_000, "rows": rows}))
    assert cut.message == (
        f"Cut to fit: $.rows: {shown} of 10,000 items. Return less from the script, or "
        f'page with get_run (path="$.rows", offset={shown}).'
    )


def test_a_long_string_and_many_keys() -> None:
    text, _ = fit("y" * 1000, max_bytes=100)
    assert text.startswith("yyy")
    assert text.endswith(" more characters")
    keys, _ = fit({f"key{n}": n for n in range(100)}, max_bytes=100)
    assert keys["key0"] == 0
    assert keys["..."] == f"{100 - len(keys) + 1} more keys"


def test_small_values_stay_beside_large_ones() -> None:
    found, _ = fit(
        {"big": "x" * 9000, "name": "Ada", "rows": [1] * 9000}, max_bytes=400
    )
    assert found["name"] == "Ada"
    assert len(found["big"]) > 50
    assert len(found["rows"]) > 20


def test_a_first_item_that_is_too_long_is_itself_cut() -> None:
    found, cut = fit([{"text": "x" * 5000}] * 3, max_bytes=300)
    assert found[0]["text"].endswith("more characters")
    assert found[1] == "... 2 more items"
    assert cut is not None
    assert [one.path for one in cut.cuts] == ["$", "$[0].text"]


def test_deep_nesting_is_cut() -> None:
    value: Any = 1
    for _ in range(400):
        value = [value]
    found, cut = fit(value, max_bytes=100_000)
    assert json.dumps(found).strip("[]") == '"... nested deeper"'
    assert cut is not None
    assert "deeper than 100 levels" in cut.message


def test_shared_parts_are_measured_right() -> None:
    part = ["x" * 50]
    found, _ = fit([part] * 100, max_bytes=500)
    assert len(dump(found)) <= 500


def test_paging_through_a_list_visits_every_item_once() -> None:
    value = {"rows": [{"id": n, "text": "x" * (n % 300)} for n in range(500)]}
    seen: list[int] = []
    offset: int | None = 0
    while offset is not None:
        answer = page(value, path="$.rows", offset=offset, limit=40, max_bytes=3000)
        assert len(dump(answer["value"])) <= 3000
        seen += [row["id"] for row in answer["value"]]
        offset = answer["next_offset"]
    assert seen == list(range(500))


def test_paging_through_text_and_objects() -> None:
    text = "äb" * 5000
    parts, offset = "", 0
    while offset is not None:
        answer = page(text, offset=offset, max_bytes=1000)
        parts, offset = parts + answer["value"], answer["next_offset"]
    assert parts == text
    keys = page({f"k{n}": n for n in range(5)}, offset=3, limit=1)
    assert (keys["value"], keys["next_offset"], keys["total"]) == ({"k3": 3}, 4, 5)


def test_a_page_of_one_huge_item_is_cut_and_says_so() -> None:
    answer = page([["x" * 9000], 2], limit=1, max_bytes=500)
    assert len(dump(answer["value"])) <= 500
    assert answer["next_offset"] == 1
    assert answer["truncated"] == "An item is too long: give its own path."


def test_a_page_of_a_number_or_past_the_end() -> None:
    assert page({"n": 5}, path="$.n") == {"path": "$.n", "value": 5}
    assert page([1], offset=7) | {"value": None} == {
        "path": "$",
        "total": 1,
        "offset": 7,
        "value": None,
        "next_offset": None,
    }


VALUE = {"a": [{"b c": [10, 20]}], "from": {"x.y": 1}, "1": "one"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", VALUE),
        ("$", VALUE),
        ("$.a[0]", {"b c": [10, 20]}),
        ("a[0]['b c'][1]", 20),
        ('$["a"][-1]["b c"][0]', 10),
        ("$.a.0['b c']", [10, 20]),
        ('$.from["x.y"]', 1),
        ("$.1", "one"),
    ],
)
def test_paths(path: str, expected: Any) -> None:
    assert paths.find_value(VALUE, path) == expected


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("$.b", "nothing at $.b: $ is an object with a, from, 1."),
        ("$.a[5]", "nothing at $.a[5]: $.a is a list of 1."),
        ("$.a[0]['b c'][0].x", '$.a[0]["b c"][0] is a number.'),
    ],
)
def test_a_path_that_leads_nowhere_says_what_is_there(path: str, text: str) -> None:
    with pytest.raises(NotFound, match=re.escape(text)):
        paths.find_value(VALUE, path)


@pytest.mark.parametrize("path", ["$.[", "$[", "$..", "$.a" * 200, f"$[{10**20}]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(Invalid, match="is not like"):
        paths.find_value(VALUE, path)


@given(st.text(max_size=60))
def test_no_text_as_a_path_makes_it_fail_otherwise(path: str) -> None:
    with contextlib.suppress(Invalid, NotFound):
        paths.find_value(VALUE, path)


@given(st.lists(st.text(max_size=10) | st.integers(0, 10**15), max_size=5))
def test_a_path_that_is_shown_can_be_given(steps: list[str | int]) -> None:
    assert paths.parse(paths.show(tuple(steps))) == tuple(steps)
