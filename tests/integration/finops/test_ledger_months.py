"""The ledger's months: where rows go, and that a uid counts once over all of them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier, Event, Thread

import pytest
from django.db import Error, connection, transaction

from finops.models import UsageEvent
from finops.services.billing import take_cut
from finops.services.ledger_months import MONTHS_AHEAD, make_ahead, rows_outside
from finops.services.metering import Booked, Payer, Usage, book
from finops.tasks import make_partitions
from tests.builders.finops import AT, make_price, make_usage

PAYER = Payer("support", "CC-1", "default", "dev", "sa:support/agent")
LONG_AGO = datetime(2019, 2, 3, tzinfo=UTC)


def _usages(*uids: str) -> list[Usage]:
    return [
        Usage(uid, "tokens", "tokens/a", "Tokens", Decimal(1), "reported")
        for uid in uids
    ]


def _partition_of(row: UsageEvent) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tableoid::regclass::text FROM finops_usageevent WHERE uid = %s",
            [row.uid],
        )
        return str(cursor.fetchone()[0])


def _partitions() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'finops_usageevent'::regclass ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def _refused(statement: str) -> None:
    with (
        pytest.raises(Error, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {statement}")


@pytest.mark.django_db
def test_a_row_lies_in_the_partition_of_its_month() -> None:
    edge = datetime(2026, 12, 1, tzinfo=UTC)
    before, after = make_usage(at=edge - timedelta(microseconds=1)), make_usage(at=edge)
    assert _partition_of(before) == "finops_usageevent_p2026_11"
    assert _partition_of(after) == "finops_usageevent_p2026_12"
    assert rows_outside() == 0
    late = make_usage(at=LONG_AGO)
    assert _partition_of(late) == "finops_usageevent_default"
    assert rows_outside() == 1
    assert UsageEvent.objects.get(pk=late.pk).at == LONG_AGO


@pytest.mark.django_db
def test_the_months_to_come_are_made_by_the_task_once() -> None:
    last = _partitions()[-1]
    assert len(_partitions()) >= MONTHS_AHEAD + 2
    assert make_ahead() == 0
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {last}")
    make_partitions()
    assert _partitions()[-1] == last
    _refused(f"TRUNCATE {last}")


@pytest.mark.django_db
@pytest.mark.parametrize("at", [AT, LONG_AGO])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {} SET cost = 0",
        "UPDATE {} SET at = at + interval '1 month'",
        "DELETE FROM {}",
        "TRUNCATE {}",
    ],
)
def test_a_partition_by_itself_refuses_every_change(
    statement: str, at: datetime
) -> None:
    row = make_usage(at=at)
    _refused(statement.format(_partition_of(row)))
    _refused("DELETE FROM finops_usageuid")
    assert UsageEvent.objects.filter(uid=row.uid).exists()


@pytest.mark.django_db
def test_a_uid_counts_once_whatever_month_it_is_reported_in() -> None:
    make_price("tokens/a", "2")
    first = book(payer=PAYER, usages=_usages("u1"), at=AT)
    for at in (AT, AT - timedelta(days=40), AT + timedelta(days=40), LONG_AGO):
        again = book(payer=PAYER, usages=_usages("u1"), at=at, reported_at=AT)
        assert again == first == Booked(Decimal(2), "USD", 0)
    assert UsageEvent.objects.get().at == AT
    # What is new among what was booked counts, and no more.
    both = book(payer=PAYER, usages=_usages("u1", "u2"), at=LONG_AGO)
    assert both == Booked(Decimal(2), "USD", 1)
    assert UsageEvent.objects.count() == 2


@pytest.mark.django_db
def test_only_what_is_booked_at_that_time_can_be_taken_back() -> None:
    row = make_usage()
    with pytest.raises(Error, match="nothing is booked"), transaction.atomic():
        make_usage(quantity="-100", reverses=row.uid, at=AT + timedelta(days=40))
    with pytest.raises(Error, match="nothing is booked"), transaction.atomic():
        make_usage(quantity="-100", reverses="never")
    make_usage(quantity="-100", reverses=row.uid)
    assert not UsageEvent.objects.standing().exists()


def test_reports_of_other_months_at_one_moment_count_once(committed: None) -> None:
    make_price("tokens/a", "1")
    threads, start = 8, Barrier(8)

    def work(number: int) -> Booked:
        uids = [f"u{n}" for n in range(40)]
        turned = uids[number * 5 :] + uids[: number * 5]
        at = AT - timedelta(days=31 * number)
        try:
            start.wait()
            with transaction.atomic():
                return book(payer=PAYER, usages=_usages(*turned), at=at)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        assert {one.unrated for one in pool.map(work, range(threads))} == {0}
    assert UsageEvent.objects.count() == 40
    assert len(set(UsageEvent.objects.values_list("at", flat=True))) == 1


def test_a_cut_waits_for_what_is_being_booked_and_all_later_ids_are_larger(
    committed: None,
) -> None:
    book(payer=PAYER, usages=_usages("u1"), at=AT)
    booked, go_on, found = Event(), Event(), list[int]()

    def slow() -> None:
        with transaction.atomic():
            book(payer=PAYER, usages=_usages("u2"), at=LONG_AGO)
            booked.set()
            go_on.wait(10)
        connection.close()

    def cutting() -> None:
        with transaction.atomic():
            found.append(take_cut())
        connection.close()

    first = Thread(target=slow)
    first.start()
    assert booked.wait(10)
    second = Thread(target=cutting)
    second.start()
    second.join(0.3)
    assert second.is_alive()
    go_on.set()
    first.join()
    second.join()
    ids = dict(UsageEvent.objects.values_list("uid", "pk"))
    assert found == [ids["u2"]]
    book(payer=PAYER, usages=_usages("u0"), at=LONG_AGO)
    assert UsageEvent.objects.get(uid="u0").pk > found[0]
