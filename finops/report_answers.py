"""Every report as REST gives it: the whole and its groups, exact."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from core.period import Period
from finops import headline_contexts
from finops.efficiency_contexts import COLUMNS, SLUG, TITLE
from finops.forms import HeadlineFilter, MoverFilter, ReportFilter
from finops.headline_kinds import KINDS, Kind
from finops.mover_words import why
from finops.movers import Mover, together
from finops.selectors.breakdown import Group, breakdown
from finops.selectors.efficiency import NOTHING, Waste, efficiency
from finops.selectors.movers import cost_movers

_MOST_GROUPS = 10_000
_OF_GROUP = (
    *("cost", "unrated", "tokens", "estimated_tokens", "model_tokens", "calls"),
    "runs",
)
_OF_MOVER = ("change", "volume", "rate", "mix")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is the same for every report: the whole, its groups, how sure they are."""

    total: dict[str, Any]
    groups: list[dict[str, Any]]
    precision: str = "exact"


@dataclass(frozen=True, slots=True)
class Report:
    """A report by its name: how it is asked for, and how it is answered."""

    title: str
    form: type[ReportFilter]
    build: Callable[[ReportFilter, Period, Period], Answer]


def _costs(form: ReportFilter, period: Period, against: Period) -> Answer:
    found = breakdown(
        form.scope, period, form.dimension, against=against, limit=_MOST_GROUPS
    )
    whole = found.total.cost

    def one(group: Group) -> dict[str, Any]:
        return _exact(
            key=group.key,
            compared_cost=group.before,
            share=group.share_of(whole),
            ended_runs=group.ended,
            succeeded_runs=group.succeeded,
            **{name: getattr(group, name) for name in _OF_GROUP},
        )

    return Answer(one(found.total), [one(group) for group in found.groups])


def _movers(form: ReportFilter, period: Period, against: Period) -> Answer:
    found = cost_movers(form.scope, period, against, form.dimension)

    def one(mover: Mover) -> dict[str, Any]:
        return _exact(
            key=mover.key,
            cost=mover.now,
            compared_cost=mover.before,
            **{name: getattr(mover, name) for name in _OF_MOVER},
            measure=mover.measure,
            activity=mover.activity_now,
            compared_activity=mover.activity_before,
            why=why(mover, settings.CURRENCY),
        )

    return Answer(one(together("", found)), [one(mover) for mover in found])


def _efficiency(form: ReportFilter, period: Period, against: Period) -> Answer:
    by = form.dimension
    found, before = (efficiency(form.scope, one, by) for one in (period, against))
    old = {group.key: group.waste for group in before.groups}

    def one(key: str, now: Waste, then: Waste) -> dict[str, Any]:
        columns = {column.name: column.value(now) for column in COLUMNS}
        return _exact(
            key=key, wasted=now.wasted, compared_wasted=then.wasted, **columns
        )

    return Answer(
        one("", found.total, before.total),
        [
            one(group.key, group.waste, old.get(group.key, NOTHING))
            for group in found.groups
        ],
    )


def _headline(kind: Kind) -> Callable[[ReportFilter, Period, Period], Answer]:
    def build(form: ReportFilter, period: Period, against: Period) -> Answer:
        found = headline_contexts.compared(
            kind, form.dimension, form.scope, period, against
        )
        return Answer(**headline_contexts.answer(found), precision=found.precision)

    return build


def _exact(**values: Any) -> dict[str, Any]:
    """Amounts as text, so that no reader rounds them."""
    return {
        name: f"{value:f}" if isinstance(value, Decimal) else value
        for name, value in values.items()
    }


REPORTS = {
    "costs": Report("Costs", ReportFilter, _costs),
    "movers": Report("Why costs changed", MoverFilter, _movers),
    SLUG: Report(TITLE, HeadlineFilter, _efficiency),
    **{
        kind.slug: Report(kind.title, HeadlineFilter, _headline(kind))
        for kind in KINDS.values()
    },
}
