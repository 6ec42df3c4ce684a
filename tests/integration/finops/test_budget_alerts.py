"""Each threshold, stop, forecast and unusual day is told once, by mail and webhook."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from pytest_django import Settings

from audit.models import Event
from finops.models import Budget, BudgetAlert, BudgetRefusal, BudgetUse
from finops.services.budget_alerts import forecast_all, watch_all
from finops.services.budget_spend import reconcile_all
from policy.models import Membership, Notification, NotificationChannel
from policy.services import deliveries, notify
from tests.builders.budgets import make_budget
from tests.builders.finops import make_usage
from tests.builders.identity import AT, make_team, make_user
from tests.builders.notifications import make_channel

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
NOON = datetime(2026, 11, 16, 12, 0, tzinfo=AT.tzinfo)  # a Monday


def _spend(budget: Budget, amount: str) -> None:
    BudgetUse.objects.filter(budget=budget).update(spent=Decimal(amount))


def _told() -> list[tuple[str, str]]:
    return list(BudgetAlert.objects.order_by("pk").values_list("kind", "about"))


@pytest.fixture
def webhook(db: None) -> NotificationChannel:
    return make_channel(events=(notify.BUDGET,))


def test_each_threshold_is_told_once_a_window(webhook: NotificationChannel) -> None:
    budget = make_budget("10", name="Sales", hard=False, thresholds=(50, 80, 100))
    assert watch_all(at=NOON) == 0
    _spend(budget, "4.999999999999")
    assert watch_all(at=NOON) == 0
    _spend(budget, "8")
    assert watch_all(at=NOON) == 2
    assert watch_all(at=NOON) == 0
    _spend(budget, "12")
    assert watch_all(at=NOON) == 1
    assert _told() == [("threshold", "50"), ("threshold", "80"), ("threshold", "100")]
    messages = list(Notification.objects.order_by("pk"))
    assert {message.channel for message in messages} == {webhook}
    told = messages[0].payload
    assert told["type"] == "budget.alert"
    assert told["data"]["text"] == (
        "Sales (organization): 50 % is reached: 8.00 USD of 10.00 USD is spent."
    )
    assert told["data"]["url"].endswith(f"/budgets/{budget.uid}/")
    assert told["data"]["spent"] == "8"
    events = Event.objects.filter(name="budget.alerted")
    assert events.count() == 3
    # The next window tells again.
    BudgetUse.objects.create(
        budget=budget,
        window_start=datetime(2026, 12, 1, tzinfo=AT.tzinfo),
        window_end=datetime(2027, 1, 1, tzinfo=AT.tzinfo),
        spent=Decimal(6),
    )
    assert watch_all(at=NOON + 30 * DAY) == 1


@pytest.mark.parametrize("how", ["spent", "refused"])
def test_a_hard_stop_is_told(webhook: NotificationChannel, how: str) -> None:
    budget = make_budget("10")
    assert watch_all(at=NOON) == 0
    if how == "spent":
        _spend(budget, "10")
    else:
        BudgetRefusal.objects.create(
            budget=budget,
            at=NOON,
            principal="agent",
            team="sales",
            asked=Decimal(1),
            left=Decimal(0),
            event="ev_1",
        )
    assert watch_all(at=NOON) == 1
    assert _told() == [("stopped", "")]
    assert Notification.objects.count() == 1


def _history(*, weeks: int = 6, cost: str = "10", **usage: Any) -> None:
    """So much on each day up to yesterday."""
    for back in range(1, weeks * 7 + 1):
        make_usage(cost=cost, at=NOON - back * DAY, team="sales", **usage)


def test_a_forecast_that_passes_is_told_and_shown(
    webhook: NotificationChannel,
) -> None:
    _history()
    tight = make_budget("200", at=NOON)
    wide = make_budget("400", at=NOON)
    assert forecast_all(at=NOON) == 0
    use = BudgetUse.objects.get(budget=tight)
    # Fifteen days have cost 150; half of today and fourteen days are to come.
    assert use.spent == 150
    assert use.forecast == Decimal(150 + 5 + 140)
    assert use.forecast_low == use.forecast_high == use.forecast
    assert watch_all(at=NOON) == 1
    alert = BudgetAlert.objects.get()
    assert (alert.budget, alert.kind) == (tight, "forecast")
    assert "295.00 USD by the window's end" in alert.text
    assert BudgetUse.objects.get(budget=wide).forecast == 295


def test_too_little_history_says_so_and_tells_nobody() -> None:
    _history(weeks=1)
    budget = make_budget("1", at=NOON, hard=False)
    forecast_all(at=NOON)
    use = BudgetUse.objects.get(budget=budget)
    assert use.forecast is None
    assert use.forecast_note == "Too little to go by: 7 of 14 whole days."
    assert watch_all(at=NOON) == 0


def test_an_unusual_day_is_told_once_to_whom_it_concerns(
    webhook: NotificationChannel, settings: Settings
) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    sales, support = make_team("sales"), make_team("support")
    finance = make_user("fiona", (sales, Membership.Role.FINANCE))
    finance.email = "fiona@example.org"
    finance.save()
    make_channel("theirs", team=support.slug, events=(notify.BUDGET,))
    mails = make_channel("mails", kind="email", url="", events=(notify.BUDGET,))
    quiet = make_channel("quiet", events=("approval.expired",))
    _history()
    make_usage(cost="500", at=NOON - 3 * timedelta(hours=1), team="sales")
    make_budget("10000", team=sales, at=NOON, channels=(quiet,))
    assert forecast_all(at=NOON) == 1
    assert forecast_all(at=NOON) == 0
    assert _told() == [("anomaly", "2026-11-16")]
    messages = Notification.objects.order_by("pk")
    assert [message.channel.name for message in messages] == ["chat", "mails", "quiet"]
    deliveries.deliver(channel_id=mails.pk, at=NOON + 365 * DAY)
    (sent,) = mail.outbox
    assert sent.to == ["fiona@example.org"]
    assert sent.subject == "Tollgate: budget Budget 1"
    assert "2026-11-16 is unusually dear: 500.00 USD" in sent.body
    assert "such a Monday usually costs 10.00 USD" in sent.body
    # What is told stands in the trail with whom it was sent to.
    event = Event.objects.get(name="budget.alerted")
    assert json.loads(event.body)["payload"]["messages"] == 3


def test_all_of_it_agrees_with_the_ledger() -> None:
    _history(weeks=2, project="a")
    budget = make_budget("100", team=make_team("sales"), at=NOON)
    make_usage(cost="7", at=NOON - DAY, team="sales")
    assert reconcile_all(at=NOON) == 1
    assert BudgetUse.objects.get(budget=budget).spent == 10 * 14 + 7
