"""A month is charged at one rate: what was booked at another is found and mended."""

from datetime import timedelta
from decimal import Decimal

import pytest

from finops.models import UsageEvent
from finops.selectors.billing import at_other_rates
from finops.selectors.chargeback import checks
from finops.services import rerating
from finops.services.fx import set_rate
from finops.services.metering import Payer, Usage, book
from tests.builders.chargeback import (
    AFTER_OCTOBER,
    CONTROLLER,
    IN_OCTOBER,
    OCTOBER,
    make_built,
)
from tests.builders.finops import make_price

pytestmark = pytest.mark.django_db
SKU = "model/openai/gpt-5/input"


def a_rate(rate: str) -> None:
    set_rate(
        month=OCTOBER,
        currency="EUR",
        rate=Decimal(rate),
        reason="the central bank's",
        actor=CONTROLLER,
        at=AFTER_OCTOBER,
    )


def said() -> tuple[bool, str]:
    found = {one.label: one for one in checks(make_built())}["Exchange rates"]
    return found.good, found.says


def test_rows_at_another_rate_are_told_until_they_are_priced_anew() -> None:
    a_rate("1.1")
    make_price(SKU, "0.5", currency="EUR")
    payer = Payer("sales", "CC-sales", "default", "prod", "sa:sales/agent")
    used = Usage(
        *("u1", "model_tokens", SKU, "Tokens", Decimal(10), "reported"),
        token_kind="input",
    )
    book(payer=payer, usages=[used], at=IN_OCTOBER)
    assert said() == (True, "the month's, in every row")

    a_rate("1.2")
    assert said()[0] is False
    assert said()[1].startswith("1 row")

    wanted = rerating.Wanted(IN_OCTOBER, IN_OCTOBER + timedelta(hours=1))
    rerating.rerate(
        wanted=wanted, reason="the rate is known", actor=CONTROLLER, at=AFTER_OCTOBER
    )
    period = make_built()
    assert (at_other_rates(period), period.ledger_cost) == (0, Decimal(6))
    assert UsageEvent.objects.count() == 3
