"""What calls used of the units that prices read off arguments and results."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from finops.models import UsageEvent
from finops.price_book import PriceBook
from finops.services.metering import Usage
from finops.tool_units import measure
from gateway.models import Run

Known = UsageEvent.Known


def usages_by_value(
    run: Run, tools: Mapping[int, str], *, book: PriceBook, at: datetime
) -> list[Usage]:
    """Usage of the successful calls ``tools`` (by step), as far as a price asks.

    Nothing is read where no price does. Arguments are those of the journal: what a
    rule hides there has no number, and is unrated.
    """
    wanted = {
        step: paths
        for step, tool in tools.items()
        if (paths := book.paths(f"tool/{tool}", at=at))
    }
    if not wanted:
        return []
    rows = run.calls.filter(step__in=wanted).order_by("step")
    return [
        usage
        for step, arguments, result in rows.values_list("step", "arguments", "result")
        for usage in _of_call(run, step, tools[step], wanted[step], arguments, result)
    ]


def _of_call(
    run: Run,
    step: int,
    tool: str,
    paths: Iterable[str],
    arguments: object,
    result: object,
) -> Iterator[Usage]:
    for path in paths:
        found = measure(path, arguments=arguments, result=result)
        name = hashlib.sha256(path.encode()).hexdigest()[:16]
        sent = path.startswith("arguments")
        yield Usage(
            uid=f"{run.uid}:{step}:{name}",
            kind=UsageEvent.Kind.TOOL_UNITS,
            sku=f"tool/{tool}",
            unit=path,
            quantity=found.quantity,
            known=Known.MEASURED if sent else Known.REPORTED,
            server=tool.partition(".")[0],
            tool=tool,
            model=run.model,
            step=step,
            flaw=found.flaw,
        )
