"""The demo company's model usage: answers of two months and the present one; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

SEED = 20_260_102
RELEASED_DAYS_AGO = 9
NEW_MODEL_DAYS = 3
_DAY = timedelta(days=1)
_RELEASED = ("growth", "claude-sonnet-4-5")


@dataclass(frozen=True, slots=True)
class Stream:
    """What a team asks one model: answers on a working day, tokens of each."""

    team: str
    provider: str
    model: str
    answers: int
    input: int
    output: int


STREAMS = (
    Stream("growth", "anthropic", "claude-sonnet-4-5", 8, 62_000, 3_200),
    Stream("growth", "openai", "gpt-5-mini", 4, 40_000, 1_800),
    Stream("support", "openai", "gpt-5-mini", 8, 52_000, 2_400),
    Stream("support", "inhouse", "qwen3-coder", 4, 48_000, 2_900),
    Stream("platform", "openai", "gpt-5", 5, 45_000, 4_000),
)
_DEARER = Stream("growth", "anthropic", "claude-opus-4-5", 6, 62_000, 3_200)
# Nobody has priced it yet: the page of unrated usage shows why that matters.
_UNPRICED = Stream("support", "inhouse", "glm-air", 2, 30_000, 1_500)


def answers(first: date, until: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Team and item of ``/api/v1/usage/``, by time, from ``first`` to ``until``.

    The ids of a day's answers are always the same: to report them again is harmless.
    """
    day = first
    while day <= until.date():
        for team, item in _of_day(day, until):
            if item["at"] <= until.isoformat():
                yield team, item
        day += _DAY


def forgotten(last: date, at: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """A few answers of the day ``last`` that a log told of too late."""
    rng = Random(f"{SEED} late {last}")
    for number in range(6):
        when = datetime.combine(last, datetime.min.time(), at.tzinfo)
        when += timedelta(hours=9 + number)
        yield "growth", _item(STREAMS[0], when, f"late-{last}-{number}", rng)


def _of_day(day: date, until: datetime) -> list[tuple[str, dict[str, Any]]]:
    rng = Random(f"{SEED} {day}")
    found = []
    age = (until.date() - day).days
    for stream in _streams(age):
        share = 0.3 if day.weekday() > 4 else 1.0
        rises = 1.7 if age < RELEASED_DAYS_AGO and _is_released(stream) else 1.0
        count = round(stream.answers * share * rises * rng.uniform(0.75, 1.25))
        for number in range(count):
            when = datetime.combine(day, datetime.min.time(), until.tzinfo)
            when += timedelta(seconds=rng.randrange(7 * 3600, 19 * 3600))
            name = f"{stream.team}-{stream.model}-{day}-{number}"
            found.append((stream.team, _item(stream, when, name, rng)))
    return sorted(found, key=lambda one: (one[1]["at"], one[1]["id"]))


def _streams(age: int) -> tuple[Stream, ...]:
    newer = (_DEARER,) if age < RELEASED_DAYS_AGO else ()
    return STREAMS + newer + ((_UNPRICED,) if age < NEW_MODEL_DAYS else ())


def _is_released(stream: Stream) -> bool:
    return (stream.team, stream.model) == _RELEASED


def _item(stream: Stream, when: datetime, name: str, rng: Random) -> dict[str, Any]:
    size = rng.lognormvariate(0, 0.5)
    read, written = round(stream.input * size), round(stream.output * size)
    item = {
        "id": f"demo-{name}",
        "at": when.isoformat(),
        "provider": stream.provider,
        "model": stream.model,
        "input": read,
        "cached_read": round(read * rng.uniform(0.4, 0.8)),
        "output": written,
    }
    if stream.provider == "openai":
        item["reasoning"] = round(written * rng.uniform(0.2, 0.6))
    if stream.provider == "anthropic":
        item["cache_write"] = round(read * rng.uniform(0.05, 0.15))
    return item
