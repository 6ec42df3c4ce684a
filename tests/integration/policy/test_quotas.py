"""What quotas count, what they refuse, and how they are set."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.models import Event
from core.errors import Invalid, NotFound, QuotaExceeded
from core.models import Revision, revisions
from policy.models import Quota, QuotaUse
from policy.quota import CALLS, covering
from policy.services import quota_changes, quotas
from policy.services.quota_changes import Scope
from tests.builders.identity import (
    ACTOR,
    AT,
    make_account,
    make_environment,
    make_key,
    make_team,
)
from tests.builders.quotas import make_quota

pytestmark = pytest.mark.django_db


def _call(
    tool: str = "crm.list",
    *,
    key_id: int | None = None,
    after: int = 0,
) -> None:
    """One call of team sales."""
    limits = quotas.limits_of(team_id=make_team().pk, environment="dev")
    counted = covering(limits, {CALLS}, key_id=key_id, tool=tool)
    with transaction.atomic():
        quotas.reserve_call(limits=counted, at=AT + timedelta(seconds=after))


def _used() -> list[int]:
    return [int(use.used) for use in QuotaUse.objects.order_by("quota", "window_start")]


def test_the_limit_is_reached_and_not_passed() -> None:
    quota = make_quota(2, team=make_team())
    _call()
    _call()
    with pytest.raises(QuotaExceeded, match="resets at 2026-11-01 10:00 UTC") as caught:
        _call(after=600)
    assert caught.value.details == {
        "quota": quota.pk,
        "scope": "team sales",
        "metric": "calls",
        "limit": 2,
        "used": 2,
        "remaining": 0,
        "window": "hour",
        "resets_at": "2026-11-01T10:00:00+00:00",
        "retry_after": 3000,
    }
    assert _used() == [2]


def test_a_new_window_starts_at_nothing() -> None:
    make_quota(1, team=make_team())
    _call()
    _call(after=3600)
    assert _used() == [1, 1]


def test_what_one_limit_refuses_is_counted_by_none() -> None:
    make_quota(5, team=make_team())
    make_quota(1, window="day")
    make_quota(5, tool="crm.*")
    _call()
    with pytest.raises(QuotaExceeded, match=r"a day \(organization\) is used up"):
        _call()
    assert _used() == [1, 1, 1]


def test_of_several_that_are_full_the_one_that_lasts_longest_is_named() -> None:
    make_quota(1, window="month")
    make_quota(1, window="minute")
    _call()
    with pytest.raises(QuotaExceeded) as caught:
        _call()
    assert caught.value.details["window"] == "month"


@pytest.mark.parametrize(
    ("scope", "counted"),
    [
        ({}, True),
        ({"team": "sales"}, True),
        ({"team": "support"}, False),
        ({"environment": "dev"}, True),
        ({"environment": "prod"}, False),
        ({"tool": "crm.*"}, True),
        ({"tool": "crm.list"}, True),
        ({"tool": "crm.li*"}, True),
        ({"tool": "erp.*"}, False),
        ({"team": "sales", "tool": "crm.*", "environment": "dev"}, True),
        ({"team": "sales", "tool": "crm.*", "environment": "prod"}, False),
        ({"team": "sales", "tool": "erp.*", "environment": "dev"}, False),
    ],
)
def test_a_quota_counts_what_matches_all_of_its_scope(
    scope: dict[str, str], counted: bool
) -> None:
    found: dict[str, object] = dict(scope)
    if "team" in scope:
        found["team"] = make_team(scope["team"])
    if "environment" in scope:
        found["environment"] = make_environment(scope["environment"])
    make_quota(5, **found)  # type: ignore[arg-type]
    _call()
    assert _used() == ([1] if counted else [])


def test_a_key_s_quota_counts_that_key_alone() -> None:
    account = make_account(make_team())
    one, other = make_key(account).key, make_key(account, name="other").key
    make_quota(1, key=one)
    _call(key_id=one.pk)
    _call(key_id=other.pk)
    _call(key_id=None)
    with pytest.raises(QuotaExceeded, match=f"key {one.prefix}"):
        _call(key_id=one.pk)


def test_all_quotas_of_a_call_are_one_statement() -> None:
    for window in ("minute", "hour", "day", "month"):
        make_quota(5, window=window)
        make_quota(5, window=window, team=make_team())
        make_quota(5, window=window, tool="crm.*")
    limits = quotas.limits_of(team_id=make_team().pk, environment="dev")
    with CaptureQueriesContext(connection) as queries:
        quotas.reserve_call(limits=limits, at=AT)
    assert len(queries) == 1
    assert _used() == [1] * 12


def test_the_quotas_of_a_principal_are_one_query() -> None:
    for team in ("sales", "support"):
        make_quota(5, team=make_team(team), environment=make_environment())
        make_quota(5, key=make_key(make_account(make_team(team))).key)
    sales = make_team()
    with CaptureQueriesContext(connection) as queries:
        limits = quotas.limits_of(team_id=sales.pk, environment="dev")
    assert len(queries) == 1
    assert len(limits) == 2


def test_a_removed_quota_refuses_nobody_even_where_it_is_still_cached() -> None:
    quota = make_quota(1, team=make_team())
    limits = quotas.limits_of(team_id=make_team().pk, environment="dev")
    quotas.reserve_call(limits=limits, at=AT)
    quota_changes.remove_quota(quota_id=quota.pk, reason="r", actor=ACTOR, at=AT)
    quotas.reserve_call(limits=limits, at=AT)
    assert _used() == [1]


def test_a_new_limit_holds_at_once_where_the_old_one_is_cached() -> None:
    quota = make_quota(1, team=make_team())
    limits = quotas.limits_of(team_id=make_team().pk, environment="dev")
    quota_changes.change_quota(
        quota_id=quota.pk, limit=2, reason="r", actor=ACTOR, at=AT
    )
    quotas.reserve_call(limits=limits, at=AT)
    quotas.reserve_call(limits=limits, at=AT)
    with pytest.raises(QuotaExceeded, match="of 2 tool calls"), transaction.atomic():
        quotas.reserve_call(limits=limits, at=AT)


def test_zero_allows_nothing_and_waiting_does_not_help() -> None:
    make_quota(0)
    with pytest.raises(QuotaExceeded, match="allows less than this needs") as caught:
        _call()
    assert caught.value.details["retry_after"] is None
    assert not QuotaUse.objects.exists()


def test_setting_again_changes_the_limit_and_raises_the_revision() -> None:
    make_quota(3)
    before = revisions()[Revision.POLICY]
    make_quota(7)
    assert Quota.objects.get().limit == 7
    assert revisions()[Revision.POLICY] == before + 1
    event = Event.objects.newest_first()[0]
    assert event.name == "quota.set"
    assert event.summary == (
        "Set-up set the quota 7 tool calls an hour (organization): a test"
    )
    assert '"before":{' in event.body
    assert '"value":"3 tool calls an hour"' in event.body


def test_a_removed_quota_may_be_set_again() -> None:
    quota = make_quota(3)
    quota_changes.remove_quota(quota_id=quota.pk, reason="r", actor=ACTOR, at=AT)
    event = Event.objects.newest_first()[0]
    assert (event.name, event.target_id) == ("quota.removed", str(quota.pk))
    with pytest.raises(NotFound):
        quota_changes.remove_quota(quota_id=quota.pk, reason="r", actor=ACTOR, at=AT)
    assert make_quota(4).pk != quota.pk


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"metric": "gold"}, "no metric"),
        ({"window": "decade"}, "Choose a window"),
        ({"window": ""}, "Choose a window"),
        ({"metric": "concurrent_runs"}, "no window"),
        ({"limit": -1}, "from 0"),
        ({"reason": " "}, "reason"),
        ({"metric": "tokens", "scope": Scope(tool="crm.*")}, "Only tool calls"),
        ({"scope": Scope(tool="everything")}, "names no tools"),
    ],
)
def test_a_quota_that_makes_no_sense_is_refused(
    values: dict[str, object], words: str
) -> None:
    good: dict[str, object] = {
        "scope": Scope(),
        "metric": "calls",
        "window": "hour",
        "limit": 1,
        "reason": "r",
    }
    with pytest.raises(Invalid, match=words):
        quota_changes.set_quota(**(good | values), actor=ACTOR, at=AT)  # type: ignore[arg-type]
    assert not Quota.objects.exists()


def test_a_key_of_another_team_is_refused() -> None:
    key = make_key(make_account(make_team("support"))).key
    with pytest.raises(Invalid, match="not one of team"):
        make_quota(1, team=make_team("sales"), key=key)


def test_old_windows_are_forgotten_and_others_kept() -> None:
    quota, monthly = make_quota(9, window="minute"), make_quota(9, window="month")
    for days in (0, 3, 3000):
        at = AT - timedelta(days=days)
        QuotaUse.objects.create(quota=quota, window_start=at)
        QuotaUse.objects.create(quota=monthly, window_start=at)
    assert quota_changes.forget_history(at=AT) == 3
    assert quota_changes.forget_history(at=AT) == 0
    assert QuotaUse.objects.filter(quota=quota).count() == 1
    assert QuotaUse.objects.filter(quota=monthly).count() == 2
