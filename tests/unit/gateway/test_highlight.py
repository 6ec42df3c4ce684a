"""Code as lines: highlighted, exact, and with nothing hidden."""

import pytest

from gateway.highlight import lines, visible


def html(code: str, language: str = "python") -> list[str]:
    return [str(line.html) for line in lines(code, language)]


def test_each_line_of_the_code_is_one_line() -> None:
    code = 'x = """a\nb\n\nc"""\n\nreturn x\n'
    found = lines(code)
    assert [line.number for line in found] == [1, 2, 3, 4, 5, 6]
    for line in found:
        assert line.html.count("<span") == line.html.count("</span>")


def test_only_the_named_lines_are_marked() -> None:
    assert [line.marked for line in lines("a\nb\nc", marked=[2, 9])] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("language", ["python", "typescript", "json", "cobol"])
def test_markup_in_code_stays_text(language: str) -> None:
    found = "\n".join(html("'<script>alert(1)</script>' & \"x\"", language))
    assert "<script" not in found
    assert "&lt;" in found


def test_code_that_does_not_parse_is_shown_all_the_same() -> None:
    assert "".join(html("def (:\n\t$$$ ???")).count("?") == 3


def test_a_very_long_script_is_plain_and_whole() -> None:
    found = html("x = 1\n" * 20_000)
    assert len(found) == 20_000
    assert found[-1] == "x = 1"


@pytest.mark.parametrize(
    "mark", ["\u202e", "\u2066", "\u200b", "\ufeff", "\x1b", "\x00"]
)
def test_characters_that_deceive_are_spelled_out(mark: str) -> None:
    assert visible(f"a{mark}b") == f"a\\u{ord(mark):04x}b"


def test_ordinary_text_is_left_alone() -> None:
    text = "Grüße\t日本語 👋🏽\nπ ≈ 3"
    assert visible(text) == text


def test_every_kind_of_line_end_is_one() -> None:
    assert visible("a\r\nb\rc\n") == "a\nb\nc\n"
