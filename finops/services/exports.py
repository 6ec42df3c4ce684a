"""Downloads of cost reports, each on record with its filters."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import StreamingHttpResponse

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid
from core.exports import respond
from core.period import Period
from finops import events, price_csv
from finops.models import ExchangeRate
from finops.movers import Mover
from finops.report_table import Table
from finops.rerate import Moved
from finops.selectors.breakdown import Breakdown
from finops.selectors.platform_costs import of_month
from finops.selectors.prices import known_prices
from finops.services.prices import line_of

COLUMNS = (
    "cost",
    "currency",
    "share",
    "previous_cost",
    "unrated",
    "tokens",
    "estimated_tokens",
    "model_tokens",
    "calls",
    "runs",
    "ended_runs",
    "succeeded_runs",
    "period_start",
    "period_end",
    "zone",
)
MOVER_COLUMNS = (
    "cost",
    "compared_cost",
    "change",
    "volume",
    "rate",
    "mix",
    "currency",
    "measure",
    "activity",
    "compared_activity",
    "period_start",
    "period_end",
    "compared_start",
    "compared_end",
    "zone",
)
_PLATFORM = ("name", "amount", "list_amount", "list_currency", "rate")
_platform = attrgetter(*_PLATFORM)
_MOVED = (
    "sku",
    "rows",
    "before",
    "after",
    "change",
    "unrated_before",
    "unrated_after",
)
_moved = attrgetter(*_MOVED)
FORMS = ("csv", "json")
_RATES = ("month", "currency", "base", "rate", "source", "known_from", "known_to")


@transaction.atomic
def export_breakdown(
    *,
    report: Breakdown,
    period: Period,
    form: str,
    filters: Mapping[str, str],
    actor: Actor,
    at: datetime,
) -> StreamingHttpResponse:
    """The rows of a report as CSV or JSON lines. Raises Invalid.

    Amounts are exact; the total is left out, as it is the sum of the rows.
    """
    _put_on_record(
        report=f"costs/{report.dimension}",
        by=report.dimension,
        form=form,
        period=period,
        filters=filters,
        rows=len(report.groups),
        actor=actor,
        at=at,
    )
    return respond(
        name=f"costs-by-{report.dimension}-{period.start:%Y%m%d}-{period.end:%Y%m%d}",
        form=form,
        columns=(report.dimension, *COLUMNS),
        rows=_rows(report, period),
    )


@transaction.atomic
def export_movers(
    *,
    found: Sequence[Mover],
    dimension: str,
    period: Period,
    against: Period,
    form: str,
    filters: Mapping[str, str],
    actor: Actor,
    at: datetime,
) -> StreamingHttpResponse:
    """Why each group's cost changed, exact. Raises Invalid."""
    _put_on_record(
        report=f"movers/{dimension}",
        by=dimension,
        form=form,
        period=period,
        filters=filters,
        rows=len(found),
        actor=actor,
        at=at,
    )
    windows = (period.start, period.end, against.start, against.end, period.zone)
    return respond(
        name=f"movers-by-{dimension}-{period.start:%Y%m%d}-{period.end:%Y%m%d}",
        form=form,
        columns=(dimension, *MOVER_COLUMNS),
        rows=(
            (
                one.key,
                one.now,
                one.before,
                one.change,
                one.volume,
                one.rate,
                one.mix,
                settings.CURRENCY,
                one.measure,
                one.activity_now,
                one.activity_before,
                *windows,
            )
            for one in found
        ),
    )


@transaction.atomic
def export_table(
    *,
    table: Table,
    report: str,
    by: str,
    period: Period,
    form: str,
    filters: Mapping[str, str],
    actor: Actor,
    at: datetime,
) -> StreamingHttpResponse:
    """The rows of any report, exact. Raises Invalid."""
    _put_on_record(
        report=report,
        by=by,
        form=form,
        period=period,
        filters=filters,
        rows=len(table.rows),
        actor=actor,
        at=at,
    )
    name = f"{report.replace('/', '-')}-{period.start:%Y%m%d}-{period.end:%Y%m%d}"
    return respond(name=name, form=form, columns=table.names, rows=table.rows)


def _put_on_record(
    *,
    report: str,
    by: str,
    form: str,
    period: Period,
    filters: Mapping[str, str],
    rows: int,
    actor: Actor,
    at: datetime,
) -> None:
    if form not in FORMS:
        raise Invalid(f"Unknown export {form!r}: use {' or '.join(FORMS)}.")
    chosen = {name: value for name, value in filters.items() if value}
    record(
        events.COSTS_EXPORTED,
        actor=actor,
        at=at,
        target=Target("report", report, "Costs"),
        payload={
            "form": form,
            "by": by,
            "period": period.label,
            "filters": ", ".join(f"{key}={value}" for key, value in chosen.items())
            or "no filter",
            "rows": rows,
        },
    )


@transaction.atomic
def export_prices(*, actor: Actor, at: datetime) -> StreamingHttpResponse:
    """What stands in the price book, as CSV that can be brought in again."""
    lines = [line_of(price) for price in known_prices()]
    record(
        events.PRICES_EXPORTED,
        actor=actor,
        at=at,
        target=Target("prices", settings.CURRENCY, "Price book"),
        payload={"rows": len(lines)},
    )
    return respond(
        name=f"prices-{settings.CURRENCY.lower()}-{at:%Y%m%d}",
        form="csv",
        columns=price_csv.COLUMNS,
        rows=[price_csv.row_of(line) for line in lines],
    )


@transaction.atomic
def export_platform_costs(
    *, month: date, actor: Actor, at: datetime
) -> StreamingHttpResponse:
    """What the fixed costs of a month come to, as CSV."""
    found = of_month(month)
    record(
        events.PLATFORM_COSTS_EXPORTED,
        actor=actor,
        at=at,
        target=Target("prices", settings.CURRENCY, "Platform costs"),
        payload={"rows": len(found), "month": f"{month:%Y-%m}"},
    )
    return respond(
        name=f"platform-costs-{month:%Y%m}",
        form="csv",
        columns=("month", "currency", *_PLATFORM),
        rows=[(f"{month:%Y-%m}", settings.CURRENCY, *_platform(one)) for one in found],
    )


@transaction.atomic
def export_rerating(
    *, uid: str, found: Sequence[Moved], actor: Actor, at: datetime
) -> StreamingHttpResponse:
    """What a re-rating changes, by SKU, as CSV."""
    record(
        events.RERATING_EXPORTED,
        actor=actor,
        at=at,
        target=Target("rerating", uid, uid),
        payload={"rows": len(found)},
    )
    return respond(
        name=f"rerating-{uid}",
        form="csv",
        columns=(*_MOVED, "currency"),
        rows=[(*_moved(one), settings.CURRENCY) for one in found],
    )


@transaction.atomic
def export_rates(*, actor: Actor, at: datetime) -> StreamingHttpResponse:
    """Every exchange rate that was ever known, with the time it stood."""
    found = ExchangeRate.objects.filter(base=settings.CURRENCY)
    rows = list(
        found.order_by("month", "currency", "known_from", "pk").values_list(*_RATES)
    )
    record(
        events.EXCHANGE_RATES_EXPORTED,
        actor=actor,
        at=at,
        target=Target("exchange_rates", settings.CURRENCY, "Exchange rates"),
        payload={"rows": len(rows)},
    )
    name = f"exchange-rates-{settings.CURRENCY.lower()}-{at:%Y%m%d}"
    return respond(name=name, form="csv", columns=_RATES, rows=rows)


def _rows(report: Breakdown, period: Period) -> Iterator[tuple[Any, ...]]:
    for group in report.groups:
        yield (
            group.key,
            group.cost,
            report.currency,
            group.share_of(report.total.cost),
            group.before,
            group.unrated,
            group.tokens,
            group.estimated_tokens,
            group.model_tokens,
            group.calls,
            group.runs,
            group.ended,
            group.succeeded,
            period.start,
            period.end,
            period.zone,
        )
