"""How the spans of two processes become the parts of one request."""

import pytest

from benchmarks.figures import Window, spread
from benchmarks.profile import Spans, breakdown, counts, covered

SPANS: Spans = {
    "http": [(10.001, 0.018)],
    "authenticate": [(10.001, 0.001)],
    "submit": [(10.002, 0.003)],
    "submit.send": [(10.004, 0.001)],
    "wait": [(10.005, 0.012)],
    "answer": [(10.017, 0.001)],
    "execute": [(10.006, 0.010)],
    "claim": [(10.006, 0.001)],
    "sandbox": [(10.007, 0.006)],
    "acquire": [(10.007, 0.001)],
    "invoke": [(10.009, 0.002), (10.010, 0.002)],
    "intend": [(10.009, 0.0005), (20.0, 1.0)],
    "finish": [(10.013, 0.003)],
    "query": [(10.006, 0.001), (10.013, 0.001), (30.0, 0.001)],
}
WINDOW = Window(10.0, 10.020)


def test_spans_that_overlap_count_once() -> None:
    assert covered([(1.0, 2.0), (2.0, 2.0), (9.0, 1.0)]) == pytest.approx(4.0)
    assert covered([(1.0, 4.0), (2.0, 1.0)]) == pytest.approx(4.0)


def test_the_parts_of_a_request() -> None:
    parts = breakdown(SPANS, [WINDOW])
    expected = {
        "client_total": 20,
        "client_and_http": 2,
        "protocol": 1,
        "queue": 1,
        "boundary": 2,
        "boundary_per_call": 1,
        "invoke_per_call": 1.5,
        "journal_intent": 0.5,
        "policy": 2.5,
        "finish": 3,
        "wake_up": 1,
        "answer": 1,
    }
    assert {name: parts[name] for name in expected} == pytest.approx(expected)


def test_what_lies_outside_the_request_is_not_its() -> None:
    assert counts(SPANS, [WINDOW]) == {"query": 2, "connect": 0}


def test_the_spread_of_samples() -> None:
    assert spread([4.0, 1.0, 2.0, 3.0]) == {
        "n": 4,
        "median_ms": 2.5,
        "p95_ms": 4.0,
        "min_ms": 1.0,
    }
