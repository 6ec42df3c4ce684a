"""What a budget's scope cost day by day, from the ledger."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings

from finops.budgeting.terms import Cover
from finops.selectors.rows import rows

# The only texts that reach a query as conditions.
_TERMS = {
    "team": "AND {t}.team = %(team)s",
    "project": "AND {t}.project = %(project)s",
    "model": "AND {t}.model = %(model)s",
    "key": "AND {t}.key = %(key)s",
}
_DAYS = """
SELECT (u.at AT TIME ZONE %(zone)s)::date AS day, coalesce(sum(u.cost), 0) AS cost
FROM finops_usageevent u
WHERE u.at >= %(start)s AND u.at < %(end)s AND u.currency = %(currency)s {scope}
GROUP BY 1
"""


def scope_of(cover: Cover, table: str) -> str:
    """Conditions on the ledger, whose parameters are ``named``."""
    terms = [text for name, text in _TERMS.items() if getattr(cover, name)]
    return " ".join(terms).replace("{t}", table)


def named(cover: Cover) -> dict[str, str]:
    """The parameters of ``scope_of``."""
    return {name: getattr(cover, name) for name in _TERMS}


def daily(
    cover: Cover, *, first: date, last: date, until: datetime
) -> dict[date, Decimal]:
    """The cost of each local day from ``first`` to ``last``, 0 where there was none.

    What was booked from ``until`` on is left out.
    """
    calendar = cover.calendar
    values: dict[str, Any] = {
        "zone": calendar.zone,
        "start": calendar.midnight(first),
        "end": min(calendar.midnight(last + timedelta(days=1)), until),
        "currency": settings.CURRENCY,
        **named(cover),
    }
    found = rows(_DAYS.replace("{scope}", scope_of(cover, "u")), values)
    costs = {row["day"]: row["cost"] for row in found}
    days = ((first + timedelta(days=n)) for n in range((last - first).days + 1))
    return {day: costs.get(day, Decimal(0)) for day in days}
