"""What differs between before and after."""

from audit.changes import Change, changes


def test_only_what_differs_is_shown_by_its_path() -> None:
    before = {"limit": 1, "scope": {"team": "sales", "tools": ["a"]}, "gone": True}
    after = {"limit": 2, "scope": {"team": "sales", "tools": ["a", "b"]}, "new": None}
    assert changes(before, after) == (
        Change("gone", "true", None),
        Change("limit", "1", "2"),
        Change("new", None, "null"),
        Change("scope.tools", '[\n  "a"\n]', '[\n  "a",\n  "b"\n]'),
    )


def test_a_creation_shows_all_and_no_change_shows_nothing() -> None:
    assert changes(None, {"name": "x", "tags": {}}) == (
        Change("name", None, "x"),
        Change("tags", None, "{}"),
    )
    assert changes({"a": 1}, {"a": 1}) == changes(None, None) == ()
