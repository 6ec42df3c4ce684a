"""The reports that can be kept and sent: how each is asked for, and its table."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import QueryDict
from django.urls import reverse

from audit.web import Rights
from core.errors import Invalid
from core.money import show, signed
from core.templatetags.tollgate import percent
from finops import efficiency_contexts, headline_contexts
from finops.compare import NEITHER, relative
from finops.forms import HeadlineFilter, MoverFilter, ReportFilter
from finops.headline_kinds import KINDS, Kind
from finops.labels import LABELS, group_label, in_words
from finops.mover_words import why
from finops.movers import together
from finops.report_table import Table
from finops.selectors.breakdown import breakdown
from finops.selectors.efficiency import efficiency
from finops.selectors.movers import cost_movers

_MOST_ROWS = 5_000


@dataclass(frozen=True, slots=True)
class Page:
    """A report that can be kept. ``build`` makes the table of a valid form."""

    key: str
    title: str
    address: str
    form: type[ReportFilter]
    build: Callable[[ReportFilter, datetime], Table]


def _costs(form: ReportFilter, at: datetime) -> Table:
    period = form.window(at=at)
    against, by = form.against(period), form.dimension
    found = breakdown(form.scope, period, by, against=against, limit=_MOST_ROWS)
    total = found.total
    change = relative(total.cost, total.before, better=NEITHER).text
    return Table(
        title=f"Costs by {in_words(by)}",
        summary=f"Cost: {show(total.cost)} {found.currency} ({change})",
        caption=f"{period.label}, compared with {against.label}. Exact.",
        names=(by, "cost", "compared_cost", "currency", "unrated", "calls", "runs"),
        rows=[
            (
                group.key,
                group.cost,
                group.before,
                found.currency,
                group.unrated,
                group.calls,
                group.runs,
            )
            for group in found.groups
        ],
        headings=(LABELS[by], f"Cost, {found.currency}", "Share", "Change", "Runs"),
        shown=[
            (
                group_label(by, group.key),
                show(group.cost),
                percent(group.share_of(total.cost)),
                relative(group.cost, group.before, better=NEITHER).text,
                f"{group.runs:,}",
            )
            for group in found.groups
        ],
    )


def _movers(form: ReportFilter, at: datetime) -> Table:
    period = form.window(at=at)
    against, by = form.against(period), form.dimension
    found = cost_movers(form.scope, period, against, by)[:_MOST_ROWS]
    currency = settings.CURRENCY
    return Table(
        title=f"Why costs changed, by {in_words(by)}",
        summary=why(together("", found), currency),
        caption=f"{period.label}, compared with {against.label}. Exact.",
        names=(by, "cost", "compared_cost", "volume", "rate", "mix", "currency"),
        rows=[
            (one.key, one.now, one.before, one.volume, one.rate, one.mix, currency)
            for one in found
        ],
        headings=(LABELS[by], f"Change, {currency}", "Why"),
        shown=[
            (group_label(by, one.key), signed(one.change), why(one, currency))
            for one in found
        ],
    )


def _efficiency(form: ReportFilter, at: datetime) -> Table:
    period = form.window(at=at)
    against, by = form.against(period), form.dimension
    found, before = (efficiency(form.scope, one, by) for one in (period, against))
    return efficiency_contexts.table(by, found, before, period, against)


def _headline(kind: Kind) -> Callable[[ReportFilter, datetime], Table]:
    def build(form: ReportFilter, at: datetime) -> Table:
        period = form.window(at=at)
        against = form.against(period)
        found = headline_contexts.compared(
            kind, form.dimension, form.scope, period, against
        )
        return headline_contexts.table(found, period, against)

    return build


PAGES = {
    page.key: page
    for page in (
        Page("costs", "Costs", "/costs/", ReportFilter, _costs),
        Page("movers", "Why costs changed", "/costs/movers/", MoverFilter, _movers),
        Page(
            efficiency_contexts.SLUG,
            efficiency_contexts.TITLE,
            "/reports/efficiency/",
            HeadlineFilter,
            _efficiency,
        ),
        *(
            Page(
                kind.slug,
                kind.title,
                f"/reports/{kind.slug}/",
                HeadlineFilter,
                _headline(kind),
            )
            for kind in KINDS.values()
        ),
    )
}


def page_of(key: str) -> Page:
    """The page with this key. Raises Invalid."""
    if key not in PAGES:
        raise Invalid(f"There is no report {key!r}: use one of {', '.join(PAGES)}.")
    return PAGES[key]


def kept(key: str, query: str) -> str:
    """The filters of an address that the page knows, in one order. Raises Invalid."""
    page = page_of(key)
    given = QueryDict(query.replace("\x00", ""))
    found = QueryDict(mutable=True)
    for name in page.form.base_fields:
        if value := given.get(name):
            found[name] = value
    return found.urlencode()


def address_of(key: str, query: str) -> str:
    """Where the report is on the pages."""
    return f"{page_of(key).address}{'?' if query else ''}{query}"


def table_of(key: str, query: str, *, rights: Rights, at: datetime) -> Table:
    """The report as ``rights`` show it at a moment. Raises Invalid."""
    page = page_of(key)
    form = page.form(QueryDict(query), access=rights, zone=settings.REPORT_TIME_ZONE)
    if not form.is_valid():
        raise Invalid("Its filters cannot be used any more: save it anew.")
    return page.build(form, at)


def schedules_address() -> str:
    """Where a person stops or changes what is sent."""
    return settings.PUBLIC_URL.rstrip("/") + reverse("report_schedules")
