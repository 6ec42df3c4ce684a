"""Quotas hold against everybody at once, and are given back to nobody."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection, transaction

from audit.models import Event
from core.errors import Invalid, NotFound, QuotaExceeded
from core.models import Revision, revisions
from policy.models import Quota, QuotaUse
from policy.selectors import quotas_of
from policy.services import quotas
from tests.builders.identity import ACTOR, AT, make_team


def _set(limit: int, *, metric: str = "calls", window: str = "hour") -> Quota:
    return quotas.set_quota(
        team=make_team(),
        metric=metric,
        window=window,
        limit=limit,
        actor=ACTOR,
        at=AT,
    )


def _reserve(amount: int = 1, *, metric: str = "calls", after: int = 0) -> None:
    limits = quotas.limits_of(make_team().pk)
    at = AT + timedelta(seconds=after)
    with transaction.atomic():
        quotas.reserve(limits=limits, metric=metric, at=at, amount=amount)


@pytest.mark.django_db
def test_the_limit_is_reached_and_not_passed() -> None:
    _set(3)
    _reserve(2)
    _reserve(1)
    with pytest.raises(QuotaExceeded, match="resets at 2026-11-01 10:00 UTC") as caught:
        _reserve(1)
    assert caught.value.details["limit"] == 3
    assert QuotaUse.objects.get().used == 3


@pytest.mark.django_db
def test_a_first_reservation_beyond_the_limit_counts_nothing() -> None:
    _set(3)
    with pytest.raises(QuotaExceeded):
        _reserve(4)
    assert not QuotaUse.objects.exists()


@pytest.mark.django_db
def test_a_new_window_starts_at_nothing() -> None:
    _set(1)
    _reserve()
    _reserve(after=3600)
    assert list(QuotaUse.objects.values_list("used", flat=True)) == [1, 1]


@pytest.mark.django_db
def test_what_one_limit_refuses_is_counted_by_none() -> None:
    _set(5, window="hour")
    _set(1, window="day")
    _reserve()
    with pytest.raises(QuotaExceeded, match="a day"):
        _reserve()
    assert [row.used for row in quotas_of(make_team(), at=AT)] == [1, 1]


@pytest.mark.django_db
def test_a_limit_of_another_metric_does_not_matter() -> None:
    _set(0, metric="runs")
    _reserve(metric="calls")


@pytest.mark.django_db
def test_zero_allows_nothing() -> None:
    _set(0)
    with pytest.raises(QuotaExceeded):
        _reserve()


@pytest.mark.django_db
def test_setting_again_changes_the_limit_and_raises_the_revision() -> None:
    _set(3)
    before = revisions()[Revision.POLICY]
    _set(7)
    assert Quota.objects.get().limit == 7
    assert revisions()[Revision.POLICY] == before + 1
    event = Event.objects.newest_first()[0]
    assert '"before":{"value":"3 calls a hour"}' in event.body


@pytest.mark.django_db
def test_removing_a_quota_is_on_record_and_needs_one() -> None:
    quota = _set(3)
    quotas.remove_quota(quota_id=quota.pk, actor=ACTOR, at=AT)
    assert Event.objects.newest_first()[0].name == "quota.removed"
    with pytest.raises(NotFound):
        quotas.remove_quota(quota_id=quota.pk, actor=ACTOR, at=AT)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("metric", "window", "limit"),
    [("gold", "hour", 1), ("runs", "decade", 1), ("runs", "hour", -1)],
)
def test_a_quota_that_makes_no_sense_is_refused(
    metric: str, window: str, limit: int
) -> None:
    with pytest.raises(Invalid):
        _set(limit, metric=metric, window=window)
    assert not Quota.objects.exists()


def test_of_many_at_once_no_more_than_the_limit_get_through(
    committed_quota: Quota,
) -> None:
    limits = (quotas.Limit(committed_quota.pk, "calls", "hour", 25),)

    def one(_: int) -> bool:
        try:
            with transaction.atomic():
                quotas.reserve(limits=limits, metric="calls", at=AT)
        except QuotaExceeded:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        passed = sum(pool.map(one, range(60)))
    assert passed == 25
    assert QuotaUse.objects.get(quota=committed_quota).used == 25
