"""Filters and tags: units, times, badges, source."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.template import Context, Template

from core.clock import now
from core.templatetags.tollgate import badge, code, money, percent, seconds, size, when


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (0.00084, "840 µs"),
        (0.0123, "12 ms"),
        (3.44, "3.4 s"),
        (125, "2 min 5 s"),
    ],
)
def test_seconds(value: float | None, shown: str) -> None:
    assert seconds(value) == shown


def test_money_says_when_no_price_is_known() -> None:
    assert money(None) == "unrated"
    assert money(Decimal("12.3"), "USD") == "12.30 USD"


def test_percent_and_size() -> None:
    assert percent(0.981) == "98.1 %"
    assert percent(None) == "–"
    assert size(999) == "999 B"
    assert size(1_500_000) == "1.5 MB"


@pytest.mark.parametrize(
    ("before", "shown"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(minutes=3), "3 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=1), "1 day ago"),
        (timedelta(days=-20), "in 20 days"),
    ],
)
def test_when_is_relative_and_keeps_the_exact_time(
    before: timedelta, shown: str
) -> None:
    html = when(now() - before)
    assert f">{shown}</time>" in html
    assert "UTC" in html


def test_when_of_long_ago_is_a_date() -> None:
    assert ">2020-01-02<" in when(datetime.fromisoformat("2020-01-02T03:04:05+00:00"))


def test_badge_escapes_and_colours() -> None:
    assert "tg-badge-bad" in badge("deny")
    assert "&lt;b&gt;" in badge("<b>")


@pytest.mark.parametrize("language", ["python", "json", "no such language"])
def test_code_escapes_markup_in_every_language(language: str) -> None:
    html = code("<script>alert(1)</script>", language)
    assert "<script>" not in html
    assert "&lt;" in html
    assert "style=" not in html


def test_numbered_code_has_no_inline_style() -> None:
    html = code("a = 1\nb = 2\n", "python", lines=True)
    assert "linenos" in html
    assert "style=" not in html


def test_block_text_gives_the_words_of_a_later_block() -> None:
    template = Template(
        "<title>{% block_text 'title' %}</title>{% block title %}<b>A</b> &amp; {{ x }}"
        "{% endblock %}"
    )
    # A template without a parent has no block context: the tag then gives nothing.
    assert template.render(Context({"x": "B"})).startswith("<title></title>")
