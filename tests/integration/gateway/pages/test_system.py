"""The page of the installation's health."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.test import Client

from core.clock import now
from gateway import diagnosis, heartbeat
from gateway.diagnosis import Finding
from gateway.models import Server
from tests.builders.catalog import make_server
from tests.builders.identity import Cast
from tests.builders.runs import make_run
from tests.integration.gateway.pages.conftest import Browse, queries_of

PATH = "/settings/system/"


@pytest.fixture(autouse=True)
def _no_wait_for_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No worker runs beside these tests; and other tests' signs are put away."""
    monkeypatch.setattr(diagnosis, "_SILENCES", (0.05,))
    monkeypatch.setattr(heartbeat, "_KEY", "tollgate:signs-of-test")
    client = heartbeat._client()
    yield
    client.delete("tollgate:signs-of-test")


@pytest.fixture
def admin(cast: Cast, browse: Browse) -> Client:
    return browse(cast.admin)


def _json(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{PATH}?format=json").json()
    return found


def _finding(client: Client, part: str) -> dict[str, Any]:
    return next(one for one in _json(client)["findings"] if one["part"] == part)


def test_every_part_is_looked_at_and_the_sandbox_is_not_booted(admin: Client) -> None:
    found = _json(admin)
    assert [one["part"] for one in found["findings"]] == [
        "PostgreSQL",
        "Redis",
        "Workers",
        "Clock",
        "Keys",
        "Trail",
        "Sealing",
        "Sinks",
        "Disk",
        "Sweep",
        "Server checks",
    ]
    assert _finding(admin, "PostgreSQL")["ok"]
    assert "migrated" in _finding(admin, "PostgreSQL")["found"]
    assert found["versions"]["Django"].startswith("5.")
    assert found["work"]["messages"].keys() == {"runs", "default"}


def test_missing_workers_are_named_with_what_to_do(admin: Client) -> None:
    workers = _finding(admin, "Workers")
    assert "nobody takes from queue default and runs" in workers["found"]
    html = admin.get(PATH).content.decode()
    assert "nobody takes from queue default and runs" in html
    assert "docs/operations.md" in html
    assert "attention" in html


def test_json_is_sent_to_programs(admin: Client) -> None:
    response = admin.get(PATH, headers={"Accept": "application/json"})
    assert response["Content-Type"] == "application/json"
    assert response.json()["status"] == "trouble"
    assert response["Cache-Control"].count("no-store") == 1


def test_a_sweep_that_is_late_or_never_came_needs_somebody(admin: Client) -> None:
    assert _finding(admin, "Sweep")["found"] == "not seen today"
    heartbeat.beat("sweep", at=now() - timedelta(minutes=1))
    assert not _finding(admin, "Sweep")["ok"]
    heartbeat.beat("sweep", at=now())
    assert _finding(admin, "Sweep")["ok"]


def test_runners_are_seen_in_runs_and_in_their_reports(admin: Client) -> None:
    for wall, dispatch in ((0.5, 0.002), (0.5, 0.004), (0, 9.0)):
        run = make_run()
        run.runner = "host:1"
        run.usage = {"sandbox": {"wall_seconds": wall, "dispatch_seconds": dispatch}}
        run.save()
    state = {"open": True, "idle": 3, "size": 4, "booted": 9, "platform": "systrap"}
    heartbeat.beat("runner:host:1", at=now(), state=state | {"provider": "gvisor"})
    heartbeat.beat("runner:idle:2", at=now(), state={"open": False})
    heartbeat.beat("runner:old:3", at=now() - timedelta(days=2))
    first, second = _json(admin)["runners"]
    assert (first["name"], first["runs"]) == ("host:1", 3)
    assert first["dispatch_seconds"] == pytest.approx(0.003)
    assert second["name"] == "idle:2"
    html = admin.get(PATH).content.decode()
    assert "3 of 4 warm, 9 booted, gvisor on systrap" in html
    assert "scripts cannot be executed there" in html


def test_servers_that_are_down_are_named(admin: Client) -> None:
    make_server(name="crm")
    make_server(name="shop", health=Server.Health.DOWN)
    make_server(name="gone", health=Server.Health.DOWN, status="disabled")
    assert _json(admin)["servers"] == {
        "up": 1,
        "down": 1,
        "unknown": 0,
        "inactive": 1,
        "down_names": ["shop"],
    }
    assert _finding(admin, "Tool servers")["found"] == "1 down: shop"


def test_a_redis_that_is_away_breaks_nothing(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = redis.Redis.from_url("redis://127.0.0.1:1/0")
    monkeypatch.setattr(heartbeat, "_client", lambda: away)
    heartbeat.beat("sweep", at=now())
    monkeypatch.setattr(
        diagnosis, "_CHECKS", (("Redis", lambda: Finding("Redis", False, "away")),)
    )
    assert _json(admin)["findings"][0]["found"] == "away"


def test_htmx_gets_the_changing_part_alone(admin: Client) -> None:
    html = admin.get(PATH, headers={"HX-Request": "true"}).content.decode()
    assert 'id="state"' in html
    assert "<html" not in html


def test_it_costs_the_same_for_few_and_many(admin: Client) -> None:
    make_run()
    make_server(name="s")
    few = queries_of(admin, PATH)
    for number in range(20):
        make_run()
        make_server(name=f"s{number}")
    assert queries_of(admin, PATH) == few


def test_the_navigation_leads_there_for_administrators(
    admin: Client, cast: Cast, browse: Browse
) -> None:
    assert f'href="{PATH}"' in admin.get(PATH).content.decode()
    assert f'href="{PATH}"' not in browse(cast.auditor).get("/").content.decode()
