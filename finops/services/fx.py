"""Sets exchange rates: one a month and currency, with its reason, never edited."""

from datetime import date, datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid
from core.models import raise_revision
from core.reasons import reason_given
from finops import events
from finops.models import ExchangeRate
from finops.selectors.rates import check_currency
from finops.services.prices import PRICES

_LEAST, _MOST = Decimal("1E-12"), Decimal(10**12)


@transaction.atomic
def set_rate(
    *,
    month: date,
    currency: str,
    rate: Decimal,
    reason: str,
    actor: Actor,
    at: datetime,
    source: str = "edited",
) -> ExchangeRate:
    """Set what one ``currency`` is worth in the organization's during a month.

    ``month`` is any day of it. Usage that is booked keeps its cost until it is priced
    anew. What was known before stays as a row whose knowledge ended. Raises Invalid.
    """
    why = reason_given(reason)
    base: str = settings.CURRENCY
    if check_currency(currency) == base:
        raise Invalid(f"{base} is the organization's own currency: it needs no rate.")
    if not rate.is_finite() or not _LEAST <= rate < _MOST or rate != round(rate, 12):
        raise Invalid("A rate is a number above 0 with at most 12 decimal places.")
    if not 1970 <= month.year < 2200:
        raise Invalid("Choose a month between 1970 and 2199.")
    first = month.replace(day=1)
    raise_revision(PRICES)  # its row lock makes changes of the book take turns
    standing = ExchangeRate.objects.filter(
        month=first, currency=currency, base=base, known_to=None
    )
    before = standing.first()
    standing.update(known_to=at)
    found = ExchangeRate.objects.create(
        month=first,
        currency=currency,
        base=base,
        rate=rate,
        source=source[:100],
        known_from=at,
    )
    record(
        events.EXCHANGE_RATE_SET,
        actor=actor,
        at=at,
        target=Target("exchange_rate", f"{currency}/{first:%Y-%m}", str(currency)),
        before=_as_dict(before) if before else None,
        after=_as_dict(found),
        payload={
            "month": f"{first:%Y-%m}",
            "worth": f"{found.rate_text} {base}",
            "reason": why,
        },
    )
    return found


def _as_dict(rate: ExchangeRate) -> dict[str, str]:
    return {
        "month": f"{rate.month:%Y-%m}",
        "rate": f"{rate.rate:f}",
        "base": rate.base,
        "source": rate.source,
    }
