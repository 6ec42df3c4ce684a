"""Calls to the demo servers over both transports and in both protocol eras."""

import threading
from collections.abc import Callable

import pytest

from gateway.connectors.api import Outcome, ServerSpec
from gateway.connectors.pool import UpstreamPool


def test_http_lists_and_calls_in_the_new_era(
    pool: UpstreamPool, shop: ServerSpec
) -> None:
    listing = pool.list_tools(shop, timeout=20)
    assert (listing.server_name, listing.protocol) == ("shop", "2026-07-28")
    assert len(listing.tools) == 16
    assert listing.refused == ()
    found = pool.call(shop, "get_order", {"id": "O-100001"}, timeout=5)
    assert found.value["id"] == "O-100001"
    assert found.bytes > 200
    assert not found.is_error


def test_http_lists_and_calls_in_the_old_era(
    pool: UpstreamPool, odd: Callable[[str], ServerSpec]
) -> None:
    spec = odd("/legacy")
    listing = pool.list_tools(spec, timeout=20)
    assert (listing.server_name, listing.protocol) == ("legacy", "2025-11-25")
    assert [tool.name for tool in listing.tools] == ["add", "wait"]
    assert pool.call(spec, "add", {"a": 1, "b": 2}, timeout=5).value == 3


def test_stdio_in_the_new_era(pool: UpstreamPool, crm: ServerSpec) -> None:
    listing = pool.list_tools(crm, timeout=20)
    assert (listing.server_name, listing.protocol) == ("crm", "2026-07-28")
    batch = pool.call(crm, "get_customers", {"ids": ["C-00002", "C-9"]}, timeout=5)
    assert [c["id"] for c in batch.value["customers"]] == ["C-00002"]
    assert batch.value["missing"] == ["C-9"]


def test_stdio_in_the_old_era(pool: UpstreamPool, rough: ServerSpec) -> None:
    listing = pool.list_tools(rough, timeout=20)
    assert (listing.server_name, listing.protocol) == ("rough", "2025-11-25")
    assert listing.instructions == "Mind the edges."
    sent = {"n": 1, "none": None, "text": "ä 🙂", "large": 2**70}
    assert pool.call(rough, "good", sent, timeout=5).value == sent


def test_wrapped_results_come_unwrapped(pool: UpstreamPool, shop: ServerSpec) -> None:
    # Called before any listing, so that the pool has to find out by itself.
    sales = pool.call(shop, "sales_by_day", {"since": "2026-11-01"}, timeout=5)
    assert isinstance(sales.value, list)
    assert set(sales.value[0]) == {"day", "orders", "total"}
    tools = {t.name: t for t in pool.list_tools(shop, timeout=5).tools}
    schema = tools["sales_by_day"].output_schema
    assert schema is not None
    assert schema["type"] == "array"
    assert "DaySales" in schema["$defs"]


def test_text_without_schema_stays_text(pool: UpstreamPool, shop: ServerSpec) -> None:
    policy = pool.call(shop, "return_policy", {"region": "EMEA"}, timeout=5)
    assert policy.value.startswith("Goods bought in EMEA may be returned within 30")


def test_a_tools_own_error_is_an_outcome(pool: UpstreamPool, shop: ServerSpec) -> None:
    outcome = pool.call(shop, "get_order", {"id": "O-1"}, timeout=5)
    assert outcome.is_error
    assert outcome.value is None
    assert "Ids look like O-100001" in outcome.message


def test_all_pages_of_ten_thousand_orders(pool: UpstreamPool, shop: ServerSpec) -> None:
    ids: list[str] = []
    cursor = None
    while True:
        arguments = {"limit": 1000, "cursor": cursor}
        page = pool.call(shop, "list_orders", arguments, timeout=10).value
        ids += [order["id"] for order in page["orders"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(ids) == len(set(ids)) == 10_000


@pytest.mark.parametrize("transport", ["http", "stdio"])
def test_threads_share_one_connection(
    transport: str, pool: UpstreamPool, ops: ServerSpec, rough: ServerSpec
) -> None:
    results: list[Outcome] = []

    def work() -> None:
        for _ in range(10):
            if transport == "http":
                found = pool.call(ops, "get_ticket", {"id": "T-30001"}, timeout=10)
            else:
                found = pool.call(rough, "pid", {}, timeout=10)
            results.append(found)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 80
    assert len({str(r.value) for r in results}) == 1
    assert not any(r.is_error for r in results)


def test_slow_calls_run_side_by_side(pool: UpstreamPool, ops: ServerSpec) -> None:
    pool.ping(ops, timeout=10)
    seconds: list[float] = []

    def work() -> None:
        arguments = {"name": "usage", "seconds": 0.5}
        seconds.append(pool.call(ops, "run_report", arguments, timeout=10).seconds)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seconds) == 6
    assert max(seconds) < 2.5


@pytest.mark.parametrize("fixture", ["shop", "crm", "rough"])
def test_ping(fixture: str, pool: UpstreamPool, request: pytest.FixtureRequest) -> None:
    health = pool.ping(request.getfixturevalue(fixture), timeout=20)
    assert health.ok, health.message
    assert health.protocol == ("2025-11-25" if fixture == "rough" else "2026-07-28")


def test_server_sent_events_are_read(
    pool: UpstreamPool, odd: Callable[[str], ServerSpec]
) -> None:
    assert pool.call(odd("/events"), "x", {"n": 3}, timeout=5).value == "xxx"


def test_a_redirect_within_the_server_is_followed(
    pool: UpstreamPool, odd: Callable[[str], ServerSpec]
) -> None:
    assert pool.call(odd("/moved"), "x", {"n": 3}, timeout=5).value == "xxx"
