"""Any report as a file, the same from its page and from REST."""

from collections.abc import Mapping
from datetime import datetime

from django.http import StreamingHttpResponse

from audit.actor import Actor
from finops.forms import ReportFilter
from finops.saved_pages import page_of
from finops.selectors.breakdown import breakdown
from finops.selectors.movers import cost_movers
from finops.services.exports import export_breakdown, export_movers, export_table

MOST_ROWS = 100_000


def export_report(
    *,
    key: str,
    asked: ReportFilter,
    form: str,
    filters: Mapping[str, str],
    actor: Actor,
    at: datetime,
) -> StreamingHttpResponse:
    """The rows of a report (of a valid form) as CSV or JSON lines. Raises Invalid."""
    period, by = asked.window(at=at), asked.dimension
    against = asked.against(period)
    if key == "costs":
        return export_breakdown(
            report=breakdown(asked.scope, period, by, against=against, limit=MOST_ROWS),
            period=period, form=form, filters=filters, actor=actor, at=at,
        )  # fmt: skip
    if key == "movers":
        return export_movers(
            found=cost_movers(asked.scope, period, against, by),
            dimension=by, period=period, against=against,
            form=form, filters=filters, actor=actor, at=at,
        )  # fmt: skip
    return export_table(
        table=page_of(key).build(asked, at), report=f"reports/{key}", by=by,
        period=period, form=form, filters=filters, actor=actor, at=at,
    )  # fmt: skip
