"""Small lines for figures, as points of an SVG that needs no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

WIDTH, HEIGHT, EDGE = 160, 36, 3


@dataclass(frozen=True, slots=True)
class Sparkline:
    """Lines (SVG ``points``) and lone dots; a bucket without a figure is a gap."""

    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    width: int = WIDTH
    height: int = HEIGHT


def sparkline(values: Sequence[float | Decimal | None]) -> Sparkline:
    """Draw ``values`` from left to right; the scale starts at 0."""
    known = [float(value) for value in values if value is not None]
    top = max(known, default=0.0) or 1.0
    step = (WIDTH - 2 * EDGE) / max(1, len(values) - 1)
    lines: list[str] = []
    dots: list[tuple[float, float]] = []
    stretch: list[tuple[float, float]] = []
    for index, value in enumerate([*values, None]):
        if value is not None:
            height = (HEIGHT - 2 * EDGE) * max(0.0, float(value)) / top
            stretch.append(
                (round(EDGE + index * step, 1), round(HEIGHT - EDGE - height, 1))
            )
            continue
        if len(stretch) == 1:
            dots += stretch
        elif stretch:
            lines.append(" ".join(f"{x},{y}" for x, y in stretch))
        stretch = []
    return Sparkline(tuple(lines), tuple(dots))
