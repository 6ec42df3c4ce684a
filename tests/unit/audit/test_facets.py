"""Clicks on facets change the terms of the query."""

from datetime import UTC, datetime, timedelta

import pytest

from audit.counts import bar_width
from audit.facets import toggled
from audit.query import parse, text_of


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "team:sales"),
        ("refund", "refund team:sales"),
        ("team:sales refund", "refund"),
        ("team:legal", "team:legal,sales"),
        ("team:legal,sales", "team:legal"),
        ("-team:sales", "-team:sales team:sales"),
    ],
)
def test_a_click_adds_a_value_or_takes_it_away(before: str, after: str) -> None:
    assert text_of(toggled(parse(before), "team", "sales")) == after


@pytest.mark.parametrize(
    ("days", "width"),
    [
        (1 / 24, timedelta(minutes=5)),
        (1, timedelta(minutes=30)),
        (7, timedelta(hours=3)),
        (30, timedelta(days=1)),
        (90, timedelta(days=7)),
        (9_000, timedelta(days=364)),
    ],
)
def test_a_window_has_at_most_sixty_bars(days: float, width: timedelta) -> None:
    end = datetime(2026, 11, 20, tzinfo=UTC)
    assert bar_width(end - timedelta(days=days), end) == width
    assert timedelta(days=days) / width < 60
