"""Every report through REST: what its page says, exact, and as files."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from core.clock import now
from finops.report_answers import REPORTS
from finops.saved_pages import PAGES
from tests.builders.finops import make_metered_run
from tests.builders.identity import make_account, make_cast, make_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def headers() -> dict[str, str]:
    """Of a key of sales that may read costs."""
    cast = make_cast()
    at = now()
    make_metered_run(at=at, team="sales", calls=4, status="failed", tokens_avoided=7)
    make_metered_run(at=at - timedelta(days=7), team="sales", calls=2)
    make_metered_run(at=at, team="support", calls=50)
    agent = make_account(cast.team, "agent")
    key = make_key(agent, scopes=["costs:read"])
    return {"authorization": f"Bearer {key.text}"}


def _get(headers: dict[str, str], slug: str, query: str = "") -> Any:
    path = f"/api/v1/reports/{slug}/?period=7d{query}"
    return Client().get(path, headers=headers)


@pytest.mark.parametrize("slug", REPORTS)
def test_each_report_has_the_teams_own_figures(
    headers: dict[str, str], slug: str
) -> None:
    answer = _get(headers, slug, "&by=team").json()
    assert (answer["report"], answer["currency"], answer["precision"]) == (
        slug, "USD", "exact",
    )  # fmt: skip
    assert [group["key"] for group in answer["groups"]] == ["sales"]
    assert answer["total"].keys() == answer["groups"][0].keys()
    file = b"".join(_get(headers, slug, "&by=team&export=csv")).decode()
    [row] = csv.DictReader(io.StringIO(file))
    assert row["team"] == "sales"
    assert _get(headers, slug, "&by=shoe").status_code == 422


def test_movers_and_efficiency_are_exact(headers: dict[str, str]) -> None:
    total = _get(headers, "movers", "&by=tool").json()["total"]
    parts = [Decimal(total[name]) for name in ("volume", "rate", "mix")]
    change = Decimal(total["cost"]) - Decimal(total["compared_cost"])
    assert sum(parts) == Decimal(total["change"]) == change == Decimal("0.002")
    waste = _get(headers, "efficiency").json()["total"]
    assert (waste["wasted"], waste["failed"], waste["wasted_share"]) == (
        "0.007000000000", "0.007000000000", 1.0,
    )  # fmt: skip
    costs = _get(headers, "costs").json()
    assert costs["total"]["cost"] == costs["groups"][0]["cost"] == "0.007000000000"
    assert costs["total"]["compared_cost"] == "0.005000000000"


def test_a_report_that_can_be_asked_for_can_be_kept(headers: dict[str, str]) -> None:
    assert REPORTS.keys() <= PAGES.keys()
    missing = _get(headers, "none")
    assert missing.status_code == 404
    assert "efficiency" in missing.content.decode()
