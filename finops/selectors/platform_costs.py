"""Fixed costs of the platform: prices of a month, whoever uses it how much.

They stand in the price book as ``platform/<kind>/<name>``, unit ``Months``, and so are
valid in time and in knowledge, in any currency. A cost counts for a month if it is in
force when the month begins.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings
from django.db.models import QuerySet

from core.money import multiply
from finops.chargeback.months import start_of
from finops.models import Price
from finops.selectors.rates import known_exchange

PREFIX, UNIT = "platform/", "Months"


@dataclass(frozen=True, slots=True)
class MonthlyCost:
    """What a fixed cost comes to in a month, in the organization's currency.

    ``name`` is ``<kind>/<name>``, as allocation rules match it. ``amount`` is None
    while the month has no exchange rate; ``list_amount`` in ``list_currency`` is what
    the book says, ``rate`` None where nothing was converted.
    """

    name: str
    amount: Decimal | None
    list_amount: Decimal
    list_currency: str
    rate: Decimal | None
    price: int

    @property
    def kind(self) -> str:
        return self.name.partition("/")[0]


def known_costs() -> QuerySet[Price]:
    """Every fixed cost that stands in the book: by name, the latest start first."""
    known = Price.objects.filter(
        known_to=None, unit=UNIT, sku__startswith=PREFIX, daily_from=None
    ).exclude(sku__endswith="*")
    return known.order_by("sku", "-valid_from", "-pk")


def of_month(month: date) -> tuple[MonthlyCost, ...]:
    """The fixed costs of a month (its first day), by name; as the book is known now."""
    at = start_of(month, settings.REPORT_TIME_ZONE)
    exchange = known_exchange()
    found = known_costs().filter(valid_from__lte=at).exclude(valid_to__lte=at)
    costs: dict[str, MonthlyCost] = {}
    for row in found:
        own = row.currency == exchange.base
        rate = None if own else exchange.rate(row.currency, at)
        amount = row.amount if own else rate and multiply(row.amount, rate)
        name = row.sku.removeprefix(PREFIX)
        cost = MonthlyCost(name, amount, row.amount, row.currency, rate, row.pk)
        costs.setdefault(name, cost)
    return tuple(costs.values())
