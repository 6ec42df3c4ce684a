"""Usage that is booked while a month is closed is of exactly one month."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Event

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from finops.models import BillingPeriod, StatementLine, UsageEvent
from finops.services import billing, closing
from finops.services.metering import Payer, Usage, book
from tests.builders.chargeback import (
    AFTER_NOVEMBER,
    AFTER_OCTOBER,
    CONTROLLER,
    IN_OCTOBER,
    NOVEMBER,
    OCTOBER,
    make_built,
)
from tests.builders.finops import make_price

# No two sums of it look alike, and none is a whole coin.
PRICE = "0.003333333333"
PAYER = Payer("sales", "CC-sales", "default", "prod", "sa:sales/agent")


def book_until(stop: Event, writer: int) -> int:
    """Book calls, two in a transaction, until told to stop; how many."""
    booked = 0
    try:
        while not stop.is_set():
            with transaction.atomic():
                for _ in range(2):
                    usage = Usage(
                        f"race_{writer}_{booked}",
                        *("tool_call", "tool/crm.read", "Requests"),
                        Decimal(1),
                        "measured",
                    )
                    book(payer=PAYER, usages=[usage], at=IN_OCTOBER)
                    booked += 1
    finally:
        connection.close()
    return booked


@pytest.mark.usefixtures("committed")
def test_what_is_booked_meanwhile_is_of_one_month() -> None:
    make_price("tool/*", PRICE, unit="Requests")
    stop = Event()
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(book_until, stop, writer) for writer in range(4)]
        try:
            while UsageEvent.objects.count() < 20:
                pass
            for _ in range(3):
                make_built()
            closing.start_review(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)
            closing.close(month=OCTOBER, actor=CONTROLLER, at=AFTER_OCTOBER)
        finally:
            stop.set()
        booked = sum(writer.result() for writer in writers)
    billing.build(month=NOVEMBER, actor=CONTROLLER, at=AFTER_NOVEMBER)

    lines = StatementLine.objects.all()
    parts = {line.category: line.quantity for line in lines}
    assert sum(parts.values()) == booked == UsageEvent.objects.count()
    assert set(parts) == {"usage", "correction"}
    costs = sum(line.cost for line in lines)
    assert costs == booked * Decimal(PRICE)
    assert costs == UsageEvent.objects.aggregate(cost=Sum("cost"))["cost"]
    october = BillingPeriod.objects.get(month=OCTOBER)
    below = UsageEvent.objects.filter(pk__lte=october.cut)
    assert parts["usage"] == below.count()
    # Both rows of a transaction, or none.
    assert parts["usage"] % 2 == 0
