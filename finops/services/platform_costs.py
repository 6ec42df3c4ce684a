"""Sets and ends fixed costs of the platform, each by whole months and on record."""

import re
from datetime import date, datetime
from decimal import Decimal

from django.conf import settings
from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.models import raise_revision
from core.reasons import reason_given
from finops import events
from finops.chargeback.months import month_at, next_month, start_of
from finops.models import Price
from finops.selectors.platform_costs import PREFIX, UNIT, known_costs
from finops.services.prices import PRICES, end_price, set_price

KINDS = ("licence", "hardware", "support", "other")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$")


def set_cost(
    *,
    kind: str,
    name: str,
    amount: Decimal,
    currency: str,
    first: date,
    reason: str,
    actor: Actor,
    at: datetime,
) -> Price:
    """Set what a fixed cost comes to a month, from the month of ``first`` on.

    It lasts until it is ended or set anew. Raises Invalid.
    """
    if kind not in KINDS:
        raise Invalid(f"There is no kind {kind!r}: use one of {', '.join(KINDS)}.")
    if not _NAME.match(name):
        raise Invalid(
            "A name is of letters, digits, dots, dashes and underscores, up to 80."
        )
    return set_price(
        sku=f"{PREFIX}{kind}/{name}",
        unit=UNIT,
        amount=amount,
        currency=currency,
        valid_from=start_of(first.replace(day=1), settings.REPORT_TIME_ZONE),
        reason=reason,
        actor=actor,
        at=at,
        source="platform cost",
    )


@transaction.atomic
def end_cost(
    *, cost_id: int, last: date, reason: str, actor: Actor, at: datetime
) -> None:
    """Let a fixed cost count for the last time in the month of ``last``.

    Raises NotFound where it is not known any more, Invalid where it ends before.
    """
    why = reason_given(reason)
    raise_revision(PRICES)
    price = known_costs().filter(pk=cost_id).first()
    if price is None:
        raise NotFound("There is no such cost any more: look at the list again.")
    zone = settings.REPORT_TIME_ZONE
    end = start_of(next_month(last.replace(day=1)), zone)
    if end <= price.valid_from:
        raise Invalid(
            f"It begins in {month_at(price.valid_from, zone):%Y-%m}: its last month "
            "cannot be before."
        )
    if price.valid_to is not None and price.valid_to <= end:
        raise Invalid("It ends by then already.")
    end_price(price=price, end=end, at=at)
    record(
        events.PRICE_ENDED,
        actor=actor,
        at=at,
        target=Target("price", price.sku, price.sku),
        before={"valid_to": price.valid_to.isoformat() if price.valid_to else ""},
        after={"valid_to": end.isoformat()},
        payload={"last": f"{last:%Y-%m}", "reason": why},
    )
