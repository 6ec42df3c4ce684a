"""The demo company's model usage: the same each time, and fit to be reported."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from deploy.demo.usage import answers, forgotten
from finops.model_usage import ModelUsage

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KINDS = ("input", "output", "cached_read", "cache_write", "reasoning")


def test_ids_are_one_each_and_the_same_every_time() -> None:
    found = list(answers(date(2026, 9, 1), NOON))
    assert found == list(answers(date(2026, 9, 1), NOON))
    late = list(forgotten(date(2026, 9, 30), NOON))
    ids = [item["id"] for _, item in (*found, *late)]
    assert len(set(ids)) == len(ids) > 1500


def test_parts_are_within_their_wholes() -> None:
    for _, item in answers(date(2026, 9, 1), NOON):
        usage = ModelUsage(**{kind: item.get(kind) for kind in KINDS})
        whole = item["input"] + item["output"]
        assert sum(number for _, number in usage.parts()) == whole


@pytest.mark.parametrize(
    "until", [NOON, datetime(2028, 3, 1, 0, 1, tzinfo=UTC)], ids=["autumn", "leap"]
)
def test_every_answer_is_of_its_time(until: datetime) -> None:
    first = until.date() - timedelta(days=80)
    times = [item["at"] for _, item in answers(first, until)]
    assert times == sorted(times)
    assert times[0] >= first.isoformat()
    assert times[-1] <= until.isoformat()


def test_last_week_rose_by_another_model() -> None:
    week = {True: Counter[str](), False: Counter[str]()}
    for team, item in answers(date(2026, 11, 6), NOON):
        if team == "growth":
            week[item["at"] >= "2026-11-14"][item["model"]] += 1
    assert week[True]["claude-sonnet-4-5"] > week[False]["claude-sonnet-4-5"]
    assert week[True]["claude-opus-4-5"] > week[False]["claude-opus-4-5"]
