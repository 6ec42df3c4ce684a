"""Where the time of an execute goes: the clocks of both processes, put together."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import Window, median

Spans = Mapping[str, Sequence[tuple[float, float]]]
"""Name of a part -> (start, seconds) of each time it ran."""

_SLACK_SECONDS = 0.0005


def read(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Every span that the probed processes wrote."""
    spans = defaultdict(list)
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            name, at, seconds = json.loads(line)
            spans[name].append((at, seconds))
    return spans


def breakdown(spans: Spans, windows: Sequence[Window]) -> dict[str, float]:
    """Median milliseconds of each part over executes made one after the other.

    The parts follow each other, so that their sum is near the client's total; only
    ``submit_send`` is a part of ``submit``. Of calls in parallel the parts overlap.
    """
    rows = [_row(_within(spans, window), window) for window in windows]
    return {name: round(median([row[name] for row in rows]), 3) for name in rows[0]}


def counts(spans: Spans, windows: Sequence[Window]) -> dict[str, float]:
    """How often parts ran in the runner, a run."""
    found = [_within(spans, window) for window in windows]
    return {
        name: median([len(spans.get(name, ())) for spans in found])
        for name in ("query", "connect")
    }


def _within(spans: Spans, window: Window) -> dict[str, list[tuple[float, float]]]:
    first, last = window.started - _SLACK_SECONDS, window.ended + _SLACK_SECONDS
    return {
        name: [span for span in found if first <= span[0] <= last]
        for name, found in spans.items()
    }


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds in which at least one of the spans was under way."""
    total, until = 0.0, 0.0
    for start, seconds in sorted(spans):
        total += max(0.0, start + seconds - max(start, until))
        until = max(until, start + seconds)
    return total


def _row(spans: Spans, window: Window) -> dict[str, float]:
    def total(*names: str) -> float:
        return covered(one for name in names for one in spans.get(name, ())) * 1e3

    def start(name: str) -> float:
        return spans[name][0][0] * 1e3 if spans.get(name) else 0.0

    def end(name: str) -> float:
        return start(name) + total(name)

    client = (window.ended - window.started) * 1e3
    calls = len(spans.get("invoke", ()))
    invoke = total("invoke")
    boundary = total("sandbox") - total("acquire", "discard", "invoke")
    return {
        "client_total": client,
        "client_and_http": client - total("http"),
        "protocol": total("http") - total("authenticate", "submit", "wait", "answer"),
        "authenticate": total("authenticate"),
        "submit": total("submit"),
        "submit_send": total("submit.send"),
        "queue": start("execute") - end("submit"),
        "claim": total("claim"),
        "catalog_and_preflight": total("catalog", "preflight"),
        "dispatch": total("acquire"),
        "boundary": boundary,
        "boundary_per_call": boundary / calls if calls else 0.0,
        "policy": invoke
        - total("intend", "intend.send", "intend.rest", "upstream", "settle"),
        "journal_intent": total("intend", "intend.send", "intend.rest"),
        "upstream": total("upstream"),
        "journal_outcome": total("settle"),
        "invoke_per_call": invoke / calls if calls else 0.0,
        "discard": total("discard"),
        "finish": total("finish"),
        "runner_rest": total("execute")
        - total("claim", "catalog", "preflight", "sandbox", "finish"),
        "wake_up": end("wait") - end("finish"),
        "answer": total("answer"),
    }
