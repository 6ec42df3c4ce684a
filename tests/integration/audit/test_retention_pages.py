"""Retention in the browser and over REST."""

import json
from datetime import UTC, date, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.models import Event, Hold
from core.clock import now
from tests.builders.audit import make_event
from tests.builders.identity import Cast
from tests.builders.retention import make_hold

pytestmark = pytest.mark.django_db
HOLD = {"title": "Case 12", "first": "2026-03", "last": "2026-05", "reason": "counsel"}


def test_each_month_says_what_keeps_it(cast: Cast, client: Client) -> None:
    make_event(at=now())
    client.force_login(cast.auditor)
    page = client.get("/audit/retention/").content.decode()
    assert f"{now():%Y-%m}" in page
    assert "No, kept until" in page
    assert "not wholly" in page
    assert "No legal hold" in page


def test_a_hold_is_set_and_lifted_with_a_reason(cast: Cast, client: Client) -> None:
    client.force_login(cast.auditor)
    assert client.post("/audit/retention/hold/", HOLD).status_code == 302
    hold = Hold.objects.get()
    assert (hold.first, hold.last) == (date(2026, 3, 1), date(2026, 5, 1))
    assert "Case 12" in client.get("/audit/retention/").content.decode()
    lift = f"/audit/retention/{hold.pk}/lift/"
    assert client.post(lift, {"reason": ""}).status_code == 422
    assert client.post(lift, {"reason": "settled"}).status_code == 302
    again = client.post(lift, {"reason": "settled"})
    assert (again.status_code, b"lifted already" in again.content) == (422, True)
    names = Event.objects.filter(target_kind="hold").order_by("pk")
    assert [(one.name, one.actor_id) for one in names] == [
        (name, f"user:{cast.auditor.username}")
        for name in ("audit.hold_set", "audit.hold_lifted")
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"first": "March"},
        {"first": "2026-13"},
        {"last": "2026-01"},
        {"reason": ""},
        {"title": "x" * 101},
    ],
)
def test_a_hold_that_says_too_little_is_not_set(
    cast: Cast, client: Client, wrong: dict[str, str]
) -> None:
    client.force_login(cast.auditor)
    answer = client.post("/audit/retention/hold/", HOLD | wrong)
    assert answer.status_code == 422
    assert not Hold.objects.exists()


def test_over_rest_months_and_holds_are_the_same(cast: Cast, client: Client) -> None:
    client.force_login(cast.auditor)
    made = client.post("/api/v1/audit/holds/", json.dumps(HOLD), "application/json")
    assert made.status_code == 201
    assert (made.json()["first"], made.json()["last"]) == ("2026-03", "2026-05")
    (listed,) = client.get("/api/v1/audit/holds/").json()["results"]
    assert listed == made.json()
    month = client.get("/api/v1/audit/months/").json()["results"][0]
    assert month["month"] == f"{now():%Y-%m}"
    assert (month["held"], month["export_sha256"]) == ([], None)
    lifted = client.post(
        f"/api/v1/audit/holds/{listed['id']}/lift/",
        json.dumps({"reason": "settled"}),
        "application/json",
    )
    assert lifted.json()["lifted_by"]


def test_a_list_of_holds_costs_the_same_however_long(
    cast: Cast, client: Client
) -> None:
    client.force_login(cast.auditor)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert client.get("/audit/retention/").status_code == 200
        return len(found)

    for number in range(3):
        make_hold(f"Case {number}")
    few = queries()
    for number in range(27):
        make_hold(f"Another {number}")
    assert queries() == few


def test_a_month_under_a_hold_says_so(cast: Cast, client: Client) -> None:
    make_event(at=datetime(2026, 11, 3, tzinfo=UTC))
    make_hold("Case 9")
    client.force_login(cast.auditor)
    assert "under the legal hold Case 9" in (
        client.get("/audit/retention/").content.decode()
    )
