"""Pins the clock, randomness and identifiers of a script to its run.

The clock starts at the run's start time and moves one millisecond per reading, plus
the length of every time.sleep; nothing else moves it. So a replay reads the same.
"""

import datetime as _datetime
import os
import random
import time
import uuid
from typing import Any

_STEP = 1_000_000  # nanoseconds per reading
_real_sleep = time.sleep
_real_gmtime, _real_strftime, _real_asctime = time.gmtime, time.strftime, time.asctime
_RealDate, _RealDatetime = _datetime.date, _datetime.datetime
_random_seed = random.Random.seed

_start = 0
_now = 0
_entropy = random.Random(0)  # noqa: S311 - determinism is the purpose


def set_run(seed: int, started_at: float) -> None:
    """Start the clock and seed every source of randomness."""
    global _start, _now
    _start = _now = int(started_at * 1_000_000_000)
    _random_seed(_entropy, f"{seed}:entropy")
    _random_seed(random._inst, f"{seed}:random")


def _read() -> int:
    global _now
    _now += _STEP
    return _now


def _seconds() -> float:
    return _read() / 1e9


def _elapsed() -> float:
    return (_read() - _start) / 1e9


def _elapsed_ns() -> int:
    return _read() - _start


def _sleep(seconds: float) -> None:
    global _now
    _real_sleep(seconds)
    _now += int(seconds * 1e9)


def _gmtime(seconds: float | None = None) -> time.struct_time:
    return _real_gmtime(_seconds() if seconds is None else seconds)


def _strftime(pattern: str, when: Any = None) -> str:
    return _real_strftime(pattern, _gmtime() if when is None else when)


def _asctime(when: Any = None) -> str:
    return _real_asctime(_gmtime() if when is None else when)


def _ctime(seconds: float | None = None) -> str:
    return _real_asctime(_gmtime(seconds))


class _DateType(type):
    """Values that C code made are of the real types: they count as well."""

    real: type

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.real)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.real)


class date(_datetime.date, metaclass=_DateType):
    """datetime.date with a pinned today()."""

    real = _RealDate

    @classmethod
    def today(cls) -> Any:
        return cls.fromtimestamp(_seconds())


class datetime(_datetime.datetime, metaclass=_DateType):
    """datetime.datetime with a pinned now()."""

    real = _RealDatetime

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return cls.fromtimestamp(_seconds(), tz)

    @classmethod
    def today(cls) -> Any:
        return cls.fromtimestamp(_seconds())

    @classmethod
    def utcnow(cls) -> Any:
        return cls.fromtimestamp(_seconds(), _datetime.UTC).replace(tzinfo=None)


def _urandom(size: int) -> bytes:
    return _entropy.randbytes(size)


def _uuid4() -> uuid.UUID:
    return uuid.UUID(bytes=_entropy.randbytes(16), version=4)


def _uuid1(node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
    return uuid.UUID(bytes=_entropy.randbytes(16), version=1)


def _seed(self: random.Random, a: Any = None, version: int = 2) -> None:
    _random_seed(self, _entropy.getrandbits(64) if a is None else a, version)


def install() -> None:
    """Put the pinned sources in place of the real ones."""
    replacements: dict[str, Any] = {
        "time": _seconds,
        "time_ns": _read,
        "monotonic": _elapsed,
        "monotonic_ns": _elapsed_ns,
        "perf_counter": _elapsed,
        "perf_counter_ns": _elapsed_ns,
        "process_time": _elapsed,
        "process_time_ns": _elapsed_ns,
        "thread_time": _elapsed,
        "thread_time_ns": _elapsed_ns,
        "sleep": _sleep,
        "gmtime": _gmtime,
        "localtime": _gmtime,
        "strftime": _strftime,
        "asctime": _asctime,
        "ctime": _ctime,
    }
    for name, function in replacements.items():
        setattr(time, name, function)
    for replacement in (date, datetime):
        replacement.__module__ = "datetime"
        replacement.__qualname__ = replacement.__name__
        setattr(_datetime, replacement.__name__, replacement)
    os.urandom = _urandom
    random._urandom = _urandom  # type: ignore[attr-defined]
    random.Random.seed = _seed  # type: ignore[method-assign]
    uuid.uuid1, uuid.uuid4 = _uuid1, _uuid4
