"""Windows of quotas."""

from datetime import UTC, datetime

import pytest

from policy.quota import window_of

AT = datetime(2026, 12, 31, 23, 59, 59, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("minute", (2026, 12, 31, 23, 59), (2027, 1, 1, 0, 0)),
        ("hour", (2026, 12, 31, 23, 0), (2027, 1, 1, 0, 0)),
        ("day", (2026, 12, 31, 0, 0), (2027, 1, 1, 0, 0)),
        ("month", (2026, 12, 1, 0, 0), (2027, 1, 1, 0, 0)),
    ],
)
def test_the_window_that_a_moment_lies_in(
    window: str, start: tuple[int, ...], end: tuple[int, ...]
) -> None:
    assert window_of(window, AT) == (
        datetime(*start, tzinfo=UTC),  # type: ignore[misc, arg-type]
        datetime(*end, tzinfo=UTC),  # type: ignore[misc, arg-type]
    )
