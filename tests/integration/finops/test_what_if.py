"""Usage at another price book: exact, bounded to one's teams, and nothing written."""

from datetime import timedelta

import pytest
from django.test import Client

from core.clock import now
from finops.models import Price, UsageEvent
from policy.models import User
from tests.builders.finops import make_price, make_usage
from tests.builders.identity import Cast

pytestmark = pytest.mark.django_db
HEAD = "sku,unit,amount,valid_from\n"


def _ask(user: User, text: str) -> dict[str, tuple[int, int, int]]:
    client = Client()
    client.force_login(user)
    at = now()
    days = {"first": f"{at - timedelta(days=2):%Y-%m-%d}", "last": f"{at:%Y-%m-%d}"}
    answer = client.post("/costs/what-if/", {**days, "text": HEAD + text})
    assert answer.status_code == 200
    return {
        one.sku: (one.booked, one.cost, one.unpriced) for one in answer.context["found"]
    }


def test_other_prices_hold_from_their_day_and_the_rest_stays(cast: Cast) -> None:
    at = now()
    make_price("tokens/a", "1")
    make_price("tokens/b", "2")
    make_usage("tokens/a", "10", cost="10", at=at - timedelta(days=1))
    make_usage("tokens/a", "4", cost="4", at=at)
    make_usage("tokens/b", "5", cost="10", at=at)
    make_usage("tokens/c", "3", cost=None, at=at)
    make_usage("tokens/a", "100", cost="100", at=at - timedelta(days=9))
    found = _ask(cast.finance, f"tokens/a,Tokens,7,{at:%Y-%m-%d}\n")
    assert found == {
        "tokens/a": (14, 38, 0),
        "tokens/b": (10, 10, 0),
        "tokens/c": (0, 0, 3),
    }
    assert Price.objects.count() == 2
    assert UsageEvent.objects.count() == 5


def test_people_suppose_for_their_own_teams(cast: Cast) -> None:
    make_usage("tokens/a", "4", cost="4", at=now(), team="sales")
    make_usage("tokens/b", "4", cost="4", at=now(), team="support")
    text = "tokens/*,Tokens,2,2026-01-01\n"
    assert _ask(cast.member, text) == {"tokens/a": (4, 8, 0)}
    assert set(_ask(cast.finance, text)) == {"tokens/a", "tokens/b"}


def test_mistakes_are_named(cast: Cast) -> None:
    client = Client()
    client.force_login(cast.finance)
    days = {"first": "2026-11-01", "last": "2026-11-02"}
    answer = client.post("/costs/what-if/", {**days, "text": HEAD + "x,y,z,w\n"})
    assert answer.status_code == 422
    assert "Line 2" in answer.content.decode()
