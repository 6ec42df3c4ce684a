"""The lines of a script around a call, for people who decide on that call."""

from dataclasses import dataclass

from gateway.codemode.mentions import lines_calling
from gateway.highlight import Line, lines
from gateway.models import Run

_AROUND = 2
_MOST = 14


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines of a script; the ones that call the tool are marked.

    ``others`` counts further calls of the tool that are not shown.
    """

    lines: tuple[Line, ...]
    others: int


def excerpt_of(run: Run | None, tool: str) -> Excerpt | None:
    """Where the run's script calls ``tool``; None where that is not certain."""
    if run is None or run.language != "python":
        return None
    numbers = lines_calling(run.code, tool)
    if not numbers:
        return None
    shown = {
        near
        for number in numbers
        for near in range(number - _AROUND, number + _AROUND + 1)
    }
    marked = lines(run.code, run.language, marked=numbers)
    kept = [line for line in marked if line.number in shown][:_MOST]
    last = kept[-1].number if kept else 0
    return Excerpt(tuple(kept), sum(number > last for number in numbers))
