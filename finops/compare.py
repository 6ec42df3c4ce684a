"""Says in words how a figure moved against the previous period."""

from dataclasses import dataclass
from decimal import Decimal

Number = int | float | Decimal

UP, DOWN, NEITHER = "up", "down", ""


@dataclass(frozen=True, slots=True)
class Delta:
    """A change: ``text`` with its sign, and what it means as a word and a tone."""

    text: str
    verdict: str
    tone: str


NOTHING = Delta("no figure before", "", "quiet")


@dataclass(frozen=True, slots=True)
class Row:
    """A group of a report, or its whole, with its words and links ("" for none)."""

    label: str
    value: str
    before: str
    delta: Delta
    cells: tuple[str, ...]
    url: str
    runs_url: str
    runs: int


def relative(now: Number | None, before: Number | None, *, better: str) -> Delta:
    """The change in per cent of ``before``; ``better`` is the good direction."""
    if now is None or before is None or before == 0:
        return NOTHING
    change = float((Decimal(str(now)) / Decimal(str(before)) - 1) * 100)
    text = (
        f"{_signed(change, 1)} %" if abs(change) < 1000 else f"{change / 100:+,.0f} ×"
    )
    return _judged(change, text.replace("-", "−"), better, still=0.05)


def points(now: float | None, before: float | None, *, better: str) -> Delta:
    """The change of a share of 1, in percentage points."""
    if now is None or before is None:
        return NOTHING
    change = (now - before) * 100
    return _judged(change, f"{_signed(change, 1)} points", better, still=0.05)


def _signed(change: float, places: int) -> str:
    return f"{change:+,.{places}f}".replace("-", "−")


def _judged(change: float, text: str, better: str, *, still: float) -> Delta:
    if abs(change) < still:
        return Delta("no change", "", "quiet")
    if not better:
        return Delta(text, "", "quiet")
    good = (change > 0) == (better == UP)
    return Delta(text, "better" if good else "worse", "good" if good else "bad")
