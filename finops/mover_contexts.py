"""What the template of the top movers gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from core.period import Period
from finops.compare import NEITHER, Delta, relative
from finops.contexts import group_urls
from finops.figures import Effects, Figure, effect_bars
from finops.labels import group_label
from finops.mover_words import why
from finops.movers import Mover, together

EFFECTS = ("Volume", "Rate", "Mix")
MOST_ROWS = 50
_MOST_BARS = 10


@dataclass(frozen=True, slots=True)
class Row:
    """A group with its words and links ("" for none)."""

    mover: Mover
    label: str
    why: str
    url: str
    runs_url: str
    delta: Delta


@dataclass(frozen=True, slots=True)
class Page:
    """Rows by falling change, those beyond the limit in one, and the whole change."""

    rows: tuple[Row, ...]
    others: Row | None
    whole: Row
    figure: Figure


def page(
    found: Sequence[Mover],
    dimension: str,
    period: Period,
    against: Period,
    chosen: Mapping[str, str],
) -> Page:
    """The movers as the page shows them; the runs of what is gone are those before."""
    shown = [
        _row(one, dimension, period if one.now else against, chosen)
        for one in found[:MOST_ROWS]
    ]
    rest = found[MOST_ROWS:]
    bars = [row for row in shown if row.mover.change][:_MOST_BARS]
    return Page(
        rows=tuple(shown),
        others=_plain("All others", together("", rest)) if rest else None,
        whole=_plain("Total", together("", found)),
        figure=effect_bars(
            effects=EFFECTS,
            rows=[
                Effects(
                    row.label,
                    row.url,
                    (row.mover.volume, row.mover.rate, row.mover.mix),
                )
                for row in bars
            ],
            unit=settings.CURRENCY,
        ),
    )


def _row(
    mover: Mover, dimension: str, period: Period, chosen: Mapping[str, str]
) -> Row:
    url, runs = group_urls(dimension, mover.key, period, chosen, page="cost_movers")
    return Row(
        mover=mover,
        label=group_label(dimension, mover.key),
        why=why(mover, settings.CURRENCY),
        url=url,
        runs_url=runs,
        delta=relative(mover.now, mover.before, better=NEITHER),
    )


def _plain(label: str, mover: Mover) -> Row:
    delta = relative(mover.now, mover.before, better=NEITHER)
    return Row(mover, label, why(mover, settings.CURRENCY), "", "", delta)
