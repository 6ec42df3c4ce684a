"""The runs that an account may page through as tasks."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from audit.models import Event
from core.clock import now
from core.errors import NotFound
from gateway.mcp_server.tools import own_run, own_runs
from policy.principal import Principal
from policy.services.keys import principal_of
from tests.builders.identity import make_account, make_key, make_team
from tests.builders.runs import make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def agent() -> Principal:
    return principal_of(make_key(make_account(make_team("support"))).key)


def test_pages_hold_fifty_and_lead_to_the_end(agent: Principal) -> None:
    made = [make_run(at=now()).uid for _ in range(53)]

    first, following = own_runs(agent, 0)
    second, end = own_runs(agent, int(following))

    assert [run.uid for run in first + second] == made[::-1]
    assert len(first) == 50
    assert end == ""


def test_only_what_is_kept_and_their_own_is_listed(agent: Principal) -> None:
    make_run(team="sales", at=now())
    make_run(at=now() - timedelta(days=40))
    mine = make_run(at=now())

    assert [run.uid for run in own_runs(agent, 0)[0]] == [mine.uid]


def test_a_page_costs_one_query(
    agent: Principal, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(3):
        make_run(at=now())
    with django_assert_num_queries(1):
        own_runs(agent, 0)
    for _ in range(27):
        make_run(at=now())
    with django_assert_num_queries(1):
        own_runs(agent, 0)


def test_asking_for_the_run_of_another_account_is_on_record(agent: Principal) -> None:
    run = make_run(at=now())
    other = replace(agent, id="sa:support/other")

    with pytest.raises(NotFound, match="There is no run"):
        own_run(other, run.uid)
    with pytest.raises(NotFound):
        own_run(other, "run_nonesuch")

    event = Event.objects.get(name="run.hidden")
    assert (event.decision, event.actor_id) == ("deny", "sa:support/other")
    assert event.target_id == run.uid
    assert own_run(agent, run.uid) == run
