"""The supervisor's memory of what a database has had."""

from pathlib import Path

from deploy.state import State, digest


def test_a_step_is_done_only_from_the_same_ingredients(tmp_path: Path) -> None:
    state = State(tmp_path / "state.json", {})

    state.done("migrate", "one")

    assert state.is_done("migrate", "one")
    assert not state.is_done("migrate", "two")
    assert not state.is_done("seed", "one")


def test_a_forgotten_step_is_done_again(tmp_path: Path) -> None:
    state = State(tmp_path / "state.json", {"collectstatic": "one"})

    state.forget("collectstatic")

    assert not state.is_done("collectstatic", "one")


def test_digest_follows_names_contents_and_words(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("a")
    two.write_text("b")
    before = digest([one, two], "word")

    assert digest([two, one, tmp_path], "word") == before
    assert digest([one, two], "other") != before
    assert digest([one], "word") != before
    one.write_text("changed")
    assert digest([one, two], "word") != before
