"""Figures from samples, and how they are printed."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """When one request was under way, in epoch seconds."""

    started: float
    ended: float


def median(values: Sequence[float]) -> float:
    """The middle of the values."""
    return statistics.median(values)


def spread(milliseconds: Sequence[float]) -> dict[str, float | int]:
    """Count, median, p95 and least of the samples."""
    ordered = sorted(milliseconds)
    return {
        "n": len(ordered),
        "median_ms": round(median(ordered), 2),
        "p95_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 2),
        "min_ms": round(ordered[0], 2),
    }


def show(bench: str, **values: object) -> None:
    """Print one JSON line."""
    print(json.dumps({"bench": bench, **values}), flush=True)
