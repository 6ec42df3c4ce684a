"""What failed and abandoned work cost: counted by hand, and the runs behind it."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import plotly.graph_objects as go
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.clock import now
from core.period import preset
from finops.models import TaskFact
from finops.selectors.efficiency import efficiency, over_time
from finops.selectors.headline import DIMENSIONS
from finops.selectors.reports import figures
from finops.selectors.scope import Scope
from policy.models import User
from tests.builders.finops import make_fact, make_metered_run, make_usage
from tests.builders.identity import Cast
from tests.builders.runs import make_run, make_task

pytestmark = pytest.mark.django_db
ALL = Scope(teams=None)
WEEK = preset("7d", zone="UTC", at=now() + timedelta(hours=1))


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _work(**fields: Any) -> None:
    """A task mended at the second try (1 + 2), one that failed (4, 8), one given up.

    The last had a run that succeeded (16); what was reported for it alone cost 32.
    Beside them: a run at the first try (64), and what belongs to no task (128).
    """
    at = now() - timedelta(minutes=5)
    shared = {"ended_at": at, **fields}
    make_fact(task="mended", status="failed", cost="1", **shared)
    make_fact(task="mended", attempt=2, cost="2", **shared)
    make_fact(task="lost", status="failed", cost="4", **shared)
    make_fact(task="lost", attempt=2, status="cancelled", cost="8", **shared)
    make_fact(task="left", cost="16", **shared)
    TaskFact.objects.filter(task="left").update(outcome="abandoned")
    make_fact(task="good", cost="64", unrated=1, **shared)
    make_usage(
        "model/o/m/input",
        "9",
        cost="32",
        at=at,
        task="left",
        kind="model_tokens",
        token_kind="input",
    )
    make_usage("tokens/definition", "9", cost="128", at=at)


def test_each_cost_is_wasted_for_one_reason() -> None:
    _work()
    found = efficiency(ALL, WEEK).total
    assert [*map(int, (found.attempts, found.failed, found.abandoned))] == [1, 12, 48]
    assert [*map(int, (found.wasted, found.cost, found.retries))] == [61, 255, 10]
    assert (found.runs, found.wasted_runs, found.retried_runs) == (6, 4, 2)
    assert (found.share, found.unrated_share) == (61 / 255, 1 / 6)
    assert found.cost == figures(ALL, WEEK).cost
    assert sum(one.wasted for one in over_time(ALL, WEEK)) == 61


def test_groups_add_up_but_by_tool_each_has_its_own_calls() -> None:
    _work()
    make_metered_run(at=now(), calls=3, team="sales", status="failed", model="m-1")
    whole = efficiency(ALL, WEEK).total
    for by in DIMENSIONS:
        found = efficiency(ALL, WEEK, by)
        assert found.total == whole
        if by not in {"tool", "server"}:
            assert sum(one.waste.wasted for one in found.groups) == whole.wasted
            assert sum(one.waste.cost for one in found.groups) == whole.cost
            assert sum(one.waste.runs for one in found.groups) == whole.runs
    [crm] = [one for one in efficiency(ALL, WEEK, "tool").groups if one.key]
    assert (crm.waste.wasted, crm.waste.wasted_runs) == (Decimal("0.003"), 1)
    narrowed = efficiency(Scope(teams=None, tool="crm.list_orders"), WEEK).total
    assert narrowed == crm.waste
    assert efficiency(Scope(teams=frozenset({"growth"})), WEEK).total.cost == 0
    assert efficiency(Scope(teams=None, mode="direct"), WEEK).total.runs == 0


def test_the_page_leads_to_exactly_the_wasted_runs(cast: Cast) -> None:
    at = now() - timedelta(minutes=5)
    # Queued before the period and ended within it: the report counts it.
    mended, lost = make_task(team="sales"), make_task(team="sales")
    early = at - timedelta(days=9)
    for task, status in ((mended, "failed"), (mended, "succeeded"), (lost, "failed")):
        run = make_run(task=task, team="sales", status=status, at=early)
        shared: dict[str, Any] = {
            "attempt": run.attempt,
            "status": status,
            "team": "sales",
        }
        make_fact(run=run.uid, task=task.uid, cost="1", ended_at=at, **shared)
    TaskFact.objects.filter(task=lost.uid).update(outcome="abandoned")
    response = _client(cast.member).get("/reports/efficiency/?by=team")
    page = response.content.decode()
    go.Figure(**response.context["figure"])
    go.Figure(**response.context["groups"])
    [row] = response.context["rows"]
    assert (row.value, row.cells[0]) == ("2.00", "66.7 %")
    assert response.context["total"].wasted_runs == 2
    counts = {}
    for heading, _, _, url in response.context["reasons"]:
        if url:
            assert url.replace("&", "&amp;") in page
            counts[heading] = _client(cast.member).get(url).context["count"]
    assert counts == {"Failed attempts": 1, "Abandoned tasks": 1, "Retries": 1}
    for url in (row.runs_url, response.context["runs_url"]):
        assert _client(cast.member).get(url).context["count"] == 2


def test_it_is_compared_and_taken_along_and_kept_to_ones_teams(cast: Cast) -> None:
    _work(team="sales")
    make_fact(
        team="sales", status="failed", cost="5", ended_at=now() - timedelta(days=7)
    )
    make_fact(team="support", status="failed", cost="99", ended_at=now())
    client = _client(cast.member)
    file = b"".join(client.get("/reports/efficiency/?by=team&export=csv")).decode()
    [row] = csv.DictReader(io.StringIO(file))
    assert (row["team"], row["wasted"], row["compared_wasted"]) == (
        "sales", "29.000000000000", "5.000000000000",
    )  # fmt: skip
    lines = b"".join(client.get("/reports/efficiency/?export=json")).decode()
    assert json.loads(lines.splitlines()[0])["failed"] == "12.000000000000"
    assert "was 5.00" in client.get("/reports/efficiency/").content.decode()
    assert client.get("/reports/efficiency/?by=shoe").status_code == 422
    assert "No run ended" in _client(cast.admin).get(
        "/reports/efficiency/?team=nobody"
    ).content.decode()  # fmt: skip


def test_many_groups_cost_no_more_queries(cast: Cast) -> None:
    counts = []
    client = _client(cast.finance)
    for size in (2, 20):
        for number in range(size):
            make_fact(team=f"t{size}-{number}", status="failed", ended_at=now())
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get("/reports/efficiency/?by=team")
        counts.append(len(queries))
    assert counts[0] == counts[1]
