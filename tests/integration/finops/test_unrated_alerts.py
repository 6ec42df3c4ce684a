"""Usage without a price is told once a SKU, to finance, until it has one."""

import json
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from pytest_django import Settings

from audit.actor import SYSTEM
from audit.models import Event
from finops.models import UnratedNotice
from finops.services.prices import set_price
from finops.services.unrated_alerts import tell_unrated
from policy.models import Notification
from policy.services import deliveries, notify
from tests.builders.finops import make_usage
from tests.builders.identity import AT, make_team, make_user
from tests.builders.notifications import make_channel

pytestmark = pytest.mark.django_db
SKU = "model/inhouse/glm/input"


def _use(sku: str = SKU, *, cost: str | None = None, at: datetime = AT) -> None:
    fields: dict[str, Any] = {
        "kind": "model_tokens",
        "unit": "Tokens",
        "token_kind": "input",
    }
    if not sku.startswith("model/"):
        fields = {}
    make_usage(sku, cost=cost, at=at, **fields)


def _told() -> list[list[str]]:
    found = Notification.objects.order_by("pk").values_list("payload", flat=True)
    return [[one["sku"] for one in payload["data"]["skus"]] for payload in found]


def test_each_sku_is_told_once_however_often_it_is_used() -> None:
    make_channel(events=(notify.UNRATED,))
    make_channel("of budgets", events=(notify.BUDGET,))
    _use("tokens/script", cost="1")
    assert tell_unrated(at=AT) == 0
    for _ in range(3):
        _use()
    _use("model/inhouse/glm/output")
    assert tell_unrated(at=AT) == 2
    _use()
    assert tell_unrated(at=AT) == tell_unrated(at=AT) == 0
    _use("model/inhouse/qwen/input")
    assert tell_unrated(at=AT) == 1
    assert _told() == [
        ["model/inhouse/glm/input", "model/inhouse/glm/output"],
        ["model/inhouse/qwen/input"],
    ]
    data = Notification.objects.order_by("pk")[0].payload["data"]
    assert "model/inhouse/glm/input (no price)" in data["text"]
    assert data["url"].endswith("/costs/unrated/")
    events = Event.objects.filter(name="usage.unrated").order_by("pk")
    bodies = [json.loads(event.body)["payload"] for event in events]
    assert [(one["count"], one["messages"]) for one in bodies] == [(2, 1), (1, 1)]


def test_what_has_a_price_is_forgotten() -> None:
    _use()
    assert tell_unrated(at=AT) == 1
    set_price(
        sku=SKU,
        unit="Tokens",
        amount=Decimal("0.1"),
        valid_from=AT - timedelta(days=1),
        reason="now known",
        actor=SYSTEM,
        at=AT,
    )
    assert tell_unrated(at=AT) == 0
    # Should it lose the price, it is told anew.
    assert not UnratedNotice.objects.exists()


def test_an_email_goes_to_finance(settings: Settings) -> None:
    settings.EMAIL_HOST = "mail.example.org"
    team = make_team("growth")
    for name, role in (("erik", "finance"), ("bob", "member")):
        person = make_user(name, (team, role))
        person.email = f"{name}@example.org"
        person.save()
    channel = make_channel("mails", kind="email", url="", events=(notify.UNRATED,))
    _use()
    assert tell_unrated(at=AT) == 1
    deliveries.deliver(channel_id=channel.pk, at=AT + timedelta(days=365))
    assert [message.to for message in mail.outbox] == [["erik@example.org"]]
    assert SKU in mail.outbox[0].body
