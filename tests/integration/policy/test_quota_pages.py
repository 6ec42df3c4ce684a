"""Pages and REST API of quotas."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from core.clock import now
from policy import quota_selectors as selectors
from policy.models import Quota, QuotaRefusal, QuotaUse, User
from policy.quota import window_of
from tests.builders.identity import (
    Cast,
    make_account,
    make_environment,
    make_key,
)
from tests.builders.quotas import make_quota
from tests.integration.gateway.pages.conftest import queries_of

PATH = "/policy/quotas/"
AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def browse() -> Callable[[User], Client]:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


Browse = Callable[[User], Client]


def _use(quota: Quota, used: float, *, at: datetime | None = None) -> QuotaUse:
    start, _ = window_of(quota.window, at or now())
    return QuotaUse.objects.create(
        quota=quota, window_start=start, used=used, limit=quota.limit
    )


def _refuse(quota: Quota, *, at: datetime, run: str = "run_1") -> None:
    QuotaRefusal.objects.create(
        quota=quota,
        at=at,
        principal="agent",
        team="sales",
        environment="dev",
        tool="crm.list",
        run=run,
        event="evt_1",
    )


def _ids(response: Any) -> list[int]:
    return [line.id for line in response.context["rows"]]


def test_the_fullest_come_first_and_near_and_full_are_told(
    cast: Cast, browse: Browse
) -> None:
    room, near, full = (make_quota(10, team=cast.team, window=w) for w in
                        ("day", "month", "hour"))  # fmt: skip
    _use(room, 2)
    _use(near, 8)
    _use(full, 12)
    response = browse(cast.member).get(PATH)
    assert _ids(response) == [full.pk, near.pk, room.pk]
    text = response.content.decode()
    assert 'max="10" value="10"' in text
    assert "used up" in text
    assert "near its limit" in text
    assert "20 %" in text


def test_a_member_sees_the_team_s_and_an_administrator_all(
    cast: Cast, browse: Browse
) -> None:
    ours = make_quota(1, team=cast.team)
    keys = make_quota(1, key=make_key(make_account(cast.team)).key)
    theirs = make_quota(1, team=cast.other_team)
    whole = make_quota(1)
    assert set(_ids(browse(cast.member).get(PATH))) == {ours.pk, keys.pk}
    every = {ours.pk, keys.pk, theirs.pk, whole.pk}
    assert set(_ids(browse(cast.admin).get(PATH))) == every
    assert set(_ids(browse(cast.auditor).get(PATH))) == every
    for hidden in (theirs, whole):
        assert browse(cast.member).get(f"{PATH}{hidden.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("team=sales", {"team", "key", "mixed"}),
        ("metric=runs", {"env"}),
        ("scope=organization", {"org"}),
        ("scope=tool", {"mixed"}),
        ("scope=key", {"key"}),
        ("scope=environment", {"env", "mixed"}),
        ("environment=dev", {"env", "mixed"}),
        ("state=full", {"org"}),
        ("state=near", {"org", "team"}),
        ("state=full&team=sales", set()),
    ],
)
def test_filters_find_what_they_say(
    cast: Cast, browse: Browse, query: str, expected: set[str]
) -> None:
    place = make_environment()
    made = {
        "org": make_quota(10),
        "team": make_quota(10, team=cast.team),
        "key": make_quota(10, key=make_key(make_account(cast.team)).key),
        "env": make_quota(10, metric="runs", environment=place),
        "mixed": make_quota(10, team=cast.team, tool="crm.*", environment=place),
    }
    _use(made["org"], 10)
    _use(made["team"], 9)
    found = set(_ids(browse(cast.admin).get(f"{PATH}?{query}")))
    assert found == {made[name].pk for name in expected}


def test_the_list_costs_the_same_for_3_and_30_quotas(
    cast: Cast, browse: Browse
) -> None:
    client = browse(cast.admin)

    def queries(number: int) -> int:
        for count in range(Quota.objects.count(), number):
            _use(make_quota(5, team=cast.team, tool=f"crm.tool{count}"), count)
        with CaptureQueriesContext(connection) as found:
            assert len(_ids(client.get(PATH))) == number
        return len(found)

    queries(1)
    assert queries(3) == queries(30)


def test_the_api_lists_30_quotas_for_as_many_queries_as_3(
    cast: Cast, browse: Browse
) -> None:
    client, counts = browse(cast.admin), []
    for number in range(30):
        _use(make_quota(5, team=cast.team, tool=f"crm.tool{number}"), number)
        if number in (2, 29):
            counts.append(queries_of(client, "/api/v1/quotas/"))
    assert counts[0] == counts[1]


def test_the_page_of_a_quota_shows_past_windows_and_who_met_it(
    cast: Cast, browse: Browse
) -> None:
    quota = make_quota(10, team=cast.team, window="day")
    at = now()
    _use(quota, 4)
    _use(quota, 10, at=at - timedelta(days=2))
    for number in range(25):
        _refuse(quota, at=at - timedelta(days=2), run=f"run_{number}")
    response = browse(cast.admin).get(f"{PATH}{quota.pk}/")
    windows = response.context["windows"]
    assert [(int(w.used), w.refused) for w in windows[:3]] == [(4, 0), (0, 0), (10, 25)]
    assert len(windows) == 31
    text = response.content.decode()
    assert text.count("/audit/evt_1/") == 20
    assert "Older" in text
    assert 'id="quota-figure"' in text
    member = browse(cast.member).get(f"{PATH}{quota.pk}/").content.decode()
    assert "evt_1" not in member
    assert "Change the limit" not in member


def test_a_page_of_runs_at_once_has_no_windows(cast: Cast, browse: Browse) -> None:
    quota = make_quota(4, metric="concurrent_runs", team=cast.team)
    response = browse(cast.member).get(f"{PATH}{quota.pk}/")
    assert response.status_code == 200
    assert "quota-figure" not in response.content.decode()


def test_the_page_of_a_quota_costs_a_bounded_number_of_queries(
    cast: Cast, browse: Browse
) -> None:
    quota = make_quota(10, team=cast.team, window="minute")
    client = browse(cast.admin)

    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get(f"{PATH}{quota.pk}/")
        return len(found)

    queries()
    empty = queries()
    for minutes in range(30):
        at = now() - timedelta(minutes=minutes)
        _use(quota, 1, at=at)
        _refuse(quota, at=at)
    assert queries() == empty


def test_months_and_days_of_history_have_the_calendar_s_length(cast: Cast) -> None:
    quota = make_quota(10, window="month")
    at = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
    found = [window.start for window in selectors.history(quota, at=at)]
    assert found[-3:] == [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3)]
    assert len(found) == 13


def test_a_quota_is_set_changed_and_removed_with_reasons(
    cast: Cast, browse: Browse
) -> None:
    admin = browse(cast.admin)
    key = make_key(make_account(cast.team)).key
    values = {
        "metric": "calls",
        "window": "hour",
        "limit": "10",
        "team": "sales",
        "key": key.prefix,
        "tool": "crm.*",
        "environment": "dev",
        "reason": "too many",
    }
    response = admin.post(f"{PATH}add/", values)
    quota = Quota.objects.get()
    assert response["Location"] == f"{PATH}{quota.pk}/"
    assert quota.as_limit().scope == (
        f"team sales, key {key.prefix}, tool crm.*, environment dev"
    )
    changed = {"limit": "20", "reason": "a campaign"}
    admin.post(f"{PATH}{quota.pk}/change/", changed)
    quota.refresh_from_db()
    assert quota.limit == 20
    assert admin.post(f"{PATH}{quota.pk}/change/", {"limit": 1}).status_code == 422
    assert admin.post(f"{PATH}{quota.pk}/remove/", {}).status_code == 422
    assert Quota.objects.live().exists()
    admin.post(f"{PATH}{quota.pk}/remove/", {"reason": "over"})
    assert not Quota.objects.live().exists()
    events = Event.objects.filter(target_kind="quota", target_id=str(quota.pk))
    bodies = [json.loads(event.body) for event in events.order_by("id")]
    assert [body["payload"]["reason"] for body in bodies] == [
        "too many",
        "a campaign",
        "over",
    ]
    assert bodies[1]["before"]["limit"] == 10
    assert bodies[1]["after"]["limit"] == 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"key": "tg_nothing"}, "There is no key"),
        ({"metric": "tokens", "tool": "crm.*"}, "Only tool calls"),
        ({"window": ""}, "Choose a window"),
        ({"limit": "-1"}, "greater than or equal to 0"),
        ({"reason": ""}, "required"),
    ],
)
def test_a_quota_that_cannot_be_is_refused_with_the_reason(
    cast: Cast, browse: Browse, change: dict[str, str], words: str
) -> None:
    values = {"metric": "calls", "window": "day", "limit": "1", "reason": "r"}
    response = browse(cast.admin).post(f"{PATH}add/", values | change)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Quota.objects.exists()


def test_the_list_and_the_windows_are_exported(cast: Cast, browse: Browse) -> None:
    quota = make_quota(4, metric="cpu_seconds", team=cast.team, window="day")
    _use(quota, 1.5)
    client = browse(cast.member)
    (row,) = csv.DictReader(io.StringIO(_streamed(client.get(f"{PATH}?export=csv"))))
    assert (row["used"], row["remaining"], row["team"]) == ("1.5", "2.5", "sales")
    text = _streamed(client.get(f"{PATH}{quota.pk}/?export=json"))
    windows = [json.loads(line) for line in text.splitlines()]
    assert len(windows) == 31
    assert windows[-1]["used"] == "1.5"
    names = Event.objects.filter(name="list.exported").values_list(
        "target_id", flat=True
    )
    assert set(names) == {"quotas", f"quota-{quota.pk}"}


def _streamed(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


def _api(client: Client, path: str, body: Any = None, method: str = "POST") -> Any:
    if body is None:
        return client.get(f"/api/v1/quotas/{path}")
    return client.generic(
        method,
        f"/api/v1/quotas/{path}",
        json.dumps(body),
        content_type="application/json",
    )


def test_the_api_sets_lists_changes_and_removes(cast: Cast, browse: Browse) -> None:
    admin = browse(cast.admin)
    body = {"metric": "tokens", "window": "day", "limit": 100, "reason": "r"}
    made = _api(admin, "", body | {"team": "sales"})
    assert made.status_code == 201, made.content
    pk = made.json()["id"]
    _use(Quota.objects.get(), 90)
    (row,) = _api(admin, "?state=near").json()["results"]
    assert (row["id"], row["used"], row["remaining"]) == (pk, 90, 10)
    assert row["state"] == "near"
    whole = _api(admin, f"{pk}/").json()
    assert whole["history"][-1]["used"] == 90
    assert whole["forecast"]["because"]
    changed = _api(admin, f"{pk}/", {"limit": 200, "reason": "r"}, "PATCH")
    assert changed.json()["limit"] == 200
    assert _api(admin, f"{pk}/remove/", {"reason": "r"}).status_code == 204
    assert _api(admin, f"{pk}/").status_code == 404


@pytest.mark.parametrize("team", ["sales", "support", ""])
def test_a_key_limits_its_own_team_alone(cast: Cast, team: str) -> None:
    scopes = ["policy:read", "policy:write"]
    key = make_key(make_account(cast.team), scopes=scopes)
    client = Client(headers={"Authorization": f"Bearer {key.text}"})
    others = make_quota(3, team=cast.other_team)
    body = {"metric": "runs", "window": "day", "limit": 5, "reason": "r", "team": team}
    status = 201 if team == "sales" else 404
    assert _api(client, "", body).status_code == status
    change = {"limit": 9, "reason": "r"}
    assert _api(client, f"{others.pk}/", change, "PATCH").status_code == 404
    shown = [row["team"] for row in _api(client, "").json()["results"]]
    assert shown == (["sales"] if team == "sales" else [])


def test_a_key_without_the_scope_reads_nothing(cast: Cast) -> None:
    reader = make_key(make_account(cast.team), scopes=["policy:read"])
    client = Client(headers={"Authorization": f"Bearer {reader.text}"})
    assert _api(client, "").status_code == 200
    body = {"metric": "runs", "window": "day", "limit": 5, "reason": "r"}
    assert _api(client, "", body | {"team": "sales"}).status_code == 403
    other = make_key(make_account(cast.team), scopes=["runs:read"])
    client = Client(headers={"Authorization": f"Bearer {other.text}"})
    assert _api(client, "").status_code == 403
