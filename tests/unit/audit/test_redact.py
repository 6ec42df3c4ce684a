"""No secret reaches the trail."""

import pytest

from audit.redact import HIDDEN, redact, redact_text


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "API_KEY",
        "x-api-key",
        "Authorization",
        "client_secret",
        "set-cookie",
    ],
)
def test_fields_with_telling_names_are_hidden(name: str) -> None:
    assert redact({name: "hunter2", "city": "Bonn"}) == {name: HIDDEN, "city": "Bonn"}


@pytest.mark.parametrize(
    "text",
    [
        "use tg_0123abcd_abcdefghijklmnopqrstuvwxyz012345 here",
        "Bearer abcdefghijkl",
        "Bearer abcdefgh",  # the shortest that are found
        "xoxb-0123456789",
        "-----BEGIN X-----",
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_abcdefghijklmnopqrstuvwxyz",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    ],
)
def test_text_that_looks_like_a_secret_is_hidden(text: str) -> None:
    assert HIDDEN in redact_text(text)
    assert HIDDEN in redact({"note": [text]})["note"][0]


def test_counts_of_tokens_are_no_secrets() -> None:
    assert redact({"tokens": 120, "max_tokens": None}) == {
        "tokens": 120,
        "max_tokens": None,
    }


def test_long_wide_and_deep_values_are_cut_and_say_so() -> None:
    deep: object = "x"
    for _ in range(20):
        deep = [deep]
    cut = redact({"text": "a" * 5000, "list": list(range(500)), "deep": deep})
    assert cut["text"] == "a" * 2000 + "…"
    assert cut["list"][-1] == "… 400 more"
    assert "[too deep]" in str(cut["deep"])


def test_text_that_postgresql_refuses_is_replaced() -> None:
    assert redact_text("a\x00b\ud800") == "a\N{REPLACEMENT CHARACTER}b?"


def test_a_secret_is_found_before_the_text_is_cut() -> None:
    text = "a" * 1970 + " tg_0123abcd_abcdefghijklmnopqrstuvwxyz012345"
    assert "tg_0123" not in redact_text(text)
    assert HIDDEN in redact_text(text)
