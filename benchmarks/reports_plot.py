"""Draws how the time of a report grows with the runs, as a small SVG."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 360, 64, 24, 150, 44
LEAST, MOST = 10.0, 100_000.0
STYLES = {
    ("sketches", "p95_ms"): ("#1f6feb", "", "sketches, p95"),
    ("sketches", "cpu_ms"): ("#1f6feb", "4 3", "sketches, CPU"),
    ("sums", "p95_ms"): ("#7c3aed", "", "sums, p95"),
    ("rows", "p95_ms"): ("#c2410c", "", "single rows, p95"),
}
AIMS = ((300, "300 ms"), (1000, "1 s"))


def draw(lines: Iterable[Mapping[str, Any]]) -> str:
    """The lines of pages without groups, both axes logarithmic."""
    shown = [one for one in lines if one["bench"] == "reports" and one["by"] == ""]
    sizes = sorted({one["runs"] for one in shown})
    parts = [_frame(sizes)]
    for row, ((source, name), (colour, dash, label)) in enumerate(STYLES.items()):
        points = [
            (_x(one["runs"], sizes), _y(one[name]))
            for one in sorted(shown, key=lambda one: int(one["runs"]))
            if one["source"] == source
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        stroke = f'stroke="{colour}" stroke-dasharray="{dash}"'
        parts.append(f'<polyline points="{path}" fill="none" {stroke}/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
        at, left = TOP + 16 + 20 * row, WIDTH - RIGHT + 12
        parts.append(f'<path d="M{left} {at}h20" {stroke}/>')
        parts.append(_text(left + 26, at + 4, label))
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">\n'
        "<title>Server time of a headline report by the runs in its window</title>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def _frame(sizes: list[int]) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [_text(LEFT, TOP - 8, "server time of a page, ms")]
    value = LEAST
    while value <= MOST:
        y = _y(value)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{right}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:,.0f}", "end"))
        value *= 10
    for limit, label in AIMS:
        y = _y(limit)
        line = f"M{LEFT} {y:.1f}H{right}"
        parts.append(f'<path d="{line}" stroke="#15803d" stroke-dasharray="2 3"/>')
        parts.append(_text(right - 4, y - 4, f"aim {label}", "end"))
    for size in sizes:
        parts.append(_text(_x(size, sizes), bottom + 16, f"{size:,}", "middle"))
    middle = (LEFT + right) / 2
    parts.append(_text(middle, bottom + 34, "runs in the window", "middle"))
    return "\n".join(parts)


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="#333" text-anchor="{anchor}">'
        f"{words}</text>"
    )


def _x(runs: int, sizes: list[int]) -> float:
    low, high = math.log(sizes[0]), math.log(sizes[-1])
    share = (math.log(runs) - low) / (high - low) if high > low else 0.5
    return LEFT + 30 + share * (WIDTH - RIGHT - LEFT - 70)


def _y(milliseconds: float) -> float:
    low, high = math.log(LEAST), math.log(MOST)
    share = (math.log(max(milliseconds, LEAST)) - low) / (high - low)
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
