"""Exchange rates: those that stand, what was known before, and which are missing."""

from dataclasses import dataclass
from datetime import date, datetime

from django.conf import settings
from django.db.models import QuerySet

from core.errors import Invalid
from finops.exchange import CODE, Exchange, MonthRate, month_of
from finops.models import ExchangeRate, Price


def known_rates() -> QuerySet[ExchangeRate]:
    """What stands now, into the organization's currency: the newest month first."""
    known = ExchangeRate.objects.filter(known_to=None, base=settings.CURRENCY)
    return known.order_by("-month", "currency", "-pk")


def rate_history(*, currency: str, month: date | None = None) -> QuerySet[ExchangeRate]:
    """All that was ever known of a currency, in a month or in all; newest first."""
    found = ExchangeRate.objects.filter(currency=currency, base=settings.CURRENCY)
    if month is not None:
        found = found.filter(month=month)
    return found.order_by("-known_from", "-month", "-pk")


def known_exchange() -> Exchange:
    """The rates known now, as amounts are converted by them."""
    return Exchange(
        settings.CURRENCY,
        settings.REPORT_TIME_ZONE,
        (MonthRate(one.currency, one.month, one.rate) for one in known_rates()),
    )


@dataclass(frozen=True, slots=True)
class Wanting:
    """A currency of the price book whose month has no rate of its own yet.

    With ``provisional`` an earlier month's rate is in use, else usage is unrated.
    """

    currency: str
    month: date
    provisional: bool


def wanting(*, at: datetime) -> tuple[Wanting, ...]:
    """Currencies that prices are in and this month has no rate for."""
    used = (
        Price.objects.filter(known_to=None)
        .exclude(currency=settings.CURRENCY)
        .order_by("currency")
        .values_list("currency", flat=True)
        .distinct()
    )
    exchange = known_exchange()
    month = month_of(at, exchange.zone)
    return tuple(
        Wanting(currency, month, exchange.rate(currency, at) is not None)
        for currency in used
        if not exchange.own(currency, month)
    )


def check_currency(currency: str) -> str:
    """The code of a currency. Raises Invalid."""
    if not CODE.match(currency):
        raise Invalid(f"{currency!r} is no currency: write its code, such as EUR.")
    return currency
