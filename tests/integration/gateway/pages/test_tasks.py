"""Pages of tasks, and outcomes stated there and over REST."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from core.clock import now
from finops.models import TaskFact
from finops.services.task_facts import usage_reported
from gateway.models import Run
from policy.services.keys import NewKey
from tests.builders.finops import AT, make_fact, make_usage
from tests.builders.identity import Cast, make_account, make_key, make_team
from tests.builders.runs import make_run, make_task
from tests.integration.gateway.pages.conftest import Browse, queries_of

LIST = "/tasks/"


def make_done(
    team: str = "sales", *, label: str = "", ago: int = 5, **fields: Any
) -> TaskFact:
    """A task with one run that ended some minutes ago."""
    run = make_run(task=make_task(label=label, team=team), team=team)
    ended_at = now() - timedelta(minutes=ago)
    make_fact(run=run.uid, task=run.task.uid, team=team, ended_at=ended_at, **fields)
    return TaskFact.objects.get(task=run.task.uid)


def names(client: Client, query: str = "") -> list[str]:
    response = client.get(LIST + query)
    assert response.status_code == 200
    return [fact.label or fact.task for fact in response.context["page"].rows]


def detail(client: Client, uid: str) -> str:
    response = client.get(reverse("task", args=[uid]))
    assert response.status_code == 200
    return response.content.decode()


def denials() -> int:
    return Event.objects.filter(name="access.denied").count()


def test_people_see_the_tasks_of_their_teams(cast: Cast, browse: Browse) -> None:
    make_done("sales", label="ours")
    theirs = make_done("support", label="theirs", ago=6)
    for user, seen in (
        (cast.member, ["ours"]),
        (cast.outsider, ["theirs"]),
        (cast.auditor, ["ours", "theirs"]),
        (cast.finance, ["ours", "theirs"]),
    ):
        assert names(browse(user)) == seen
    response = browse(cast.member).get(reverse("task", args=[theirs.task]))
    assert response.status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "?team=support",
        "?outcome=failed",
        "?model=m-1",
        "?q=needle",
        "?period=24h&q=eedl",
    ],
)
def test_each_filter_finds_its_task(cast: Cast, browse: Browse, query: str) -> None:
    make_done("sales", label="hay")
    make_done("support", label="needle", status="failed", model="m-1")
    assert names(browse(cast.auditor), query) == ["needle"]


def test_older_tasks_need_a_longer_period(cast: Cast, browse: Browse) -> None:
    old = make_done(label="old", ago=8 * 24 * 60)
    client = browse(cast.member)
    assert names(client) == []
    assert names(client, "?period=30d") == names(client, "?period=all") == ["old"]
    day = old.ended_at.date()
    assert names(client, f"?first={day}&last={day}") == ["old"]
    assert client.get(f"{LIST}?outcome=lost").status_code == 422


def test_pages_by_time_neither_skip_nor_repeat(cast: Cast, browse: Browse) -> None:
    made = [make_fact(team="sales", ended_at=now()).task for _ in range(60)][::-1]
    client, seen, url = browse(cast.member), [], LIST
    while url:
        page = client.get(url).context["page"]
        seen += [fact.task for fact in page.rows]
        url = page.older
    assert seen == made


def test_thirty_tasks_cost_as_many_queries_as_three(cast: Cast, browse: Browse) -> None:
    client = browse(cast.admin)
    task = make_done().task
    make_done(label="another")
    make_usage("model/a/m/output", run="", task=task, team="sales")
    paths = (LIST, reverse("task", args=[task]))
    few = [queries_of(client, path) for path in paths]
    for number in range(27):
        made = make_done(label=f"task {number}")
        TaskFact.objects.filter(pk=made.pk).update(stated="failed")
        make_usage("model/a/m/input", run="", task=task, team="sales")
    assert [queries_of(client, path) for path in paths] == few


def test_the_export_has_the_same_rows_and_is_on_record(
    cast: Cast, browse: Browse
) -> None:
    fact = make_done(label="month end", status="failed")
    make_done("support")
    response = browse(cast.member).get(f"{LIST}?export=csv&outcome=failed")
    body = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    (row,) = csv.DictReader(io.StringIO(body.decode("utf-8-sig")))
    assert (row["task"], row["name"], row["outcome"], row["known"]) == (
        fact.task,
        "month end",
        "failed",
        "estimated",
    )
    assert Event.objects.filter(name="list.exported", actor_id="user:alice").exists()


def test_a_task_shows_its_runs_and_what_was_reported_for_it_alone(
    cast: Cast, browse: Browse
) -> None:
    fact = make_done(label="month end", model="m-1")
    usage: dict[str, Any] = {"task": fact.task, "team": "sales", "unit": "Tokens"}
    usage |= {"at": AT, "kind": "model_tokens", "known": "reported"}
    sku = "model/acme/m-1"
    make_usage(f"{sku}/input", "700", cost="0.25", token_kind="input", **usage)
    make_usage(f"{sku}/output", "50", cost=None, token_kind="output", **usage)
    usage_reported(runs=[], tasks=[fact.task])
    run = fact_run(fact)
    html = detail(browse(cast.member), fact.task)
    assert reverse("run", args=[run]) in html
    for text in ("model/acme/m-1/input", "0.25", "unrated", ">700<", "750"):
        assert text in html
    page = browse(cast.member).get(reverse("run", args=[run])).content.decode()
    assert reverse("task", args=[fact.task]) in page


def fact_run(fact: TaskFact) -> str:
    """The uid of a task's only run."""
    return Run.objects.get(task__uid=fact.task).uid


def test_a_task_that_has_just_begun_has_a_page(cast: Cast, browse: Browse) -> None:
    run = make_run(team="sales", status="running")
    html = detail(browse(cast.member), run.task.uid)
    assert run.uid in html
    assert "No run of it has ended yet" in html
    assert "State the outcome" not in html


def test_members_state_the_outcome_of_their_teams_tasks(
    cast: Cast, browse: Browse
) -> None:
    fact = make_done()
    client, url = browse(cast.member), reverse("task_outcome", args=[fact.task])
    for said in ({"outcome": "failed", "reason": " "}, {"outcome": "", "reason": "r"}):
        assert client.post(url, said).status_code == 422
    fact.refresh_from_db()
    assert fact.stated == ""
    said = {"outcome": "failed", "reason": "Sums were wrong"}
    assert client.post(url, said).status_code == 302
    fact.refresh_from_db()
    assert (fact.outcome, fact.stated_by) == ("failed", "user:alice")
    event = Event.objects.get(name="task.outcome_stated")
    assert json.loads(event.body)["payload"]["reason"] == "Sums were wrong"
    assert "user:alice stated" in detail(client, fact.task)
    assert "Sums were wrong" in detail(browse(cast.auditor), fact.task)
    assert "stated</div>" in client.get(LIST).content.decode()


def test_nobody_else_states_it_and_the_attempt_is_on_record(
    cast: Cast, browse: Browse
) -> None:
    fact = make_done()
    url = reverse("task_outcome", args=[fact.task])
    said = {"outcome": "failed", "reason": "r"}
    for number, (user, status) in enumerate(
        ((cast.outsider, 404), (cast.auditor, 403)), 1
    ):
        assert browse(user).post(url, said).status_code == status
        assert denials() == number
        assert "State the outcome" not in detail(browse(cast.auditor), fact.task)
    fact.refresh_from_db()
    assert fact.stated == ""


def send(key: NewKey, uid: str, **body: str) -> Any:
    client = Client(headers={"Authorization": f"Bearer {key.text}"})
    url = f"/api/v1/tasks/{uid}/outcome/"
    return client.post(url, body, content_type="application/json")


@pytest.mark.django_db
def test_a_key_states_the_outcome_of_its_teams_tasks_alone() -> None:
    key = make_key(make_account(make_team()), scopes=("costs:write",))
    ours, theirs = make_done(), make_done("support")
    answer = send(key, ours.task, outcome="failed", reason="The report was empty")
    assert answer.status_code == 200, answer.content
    found = answer.json()
    assert (found["outcome"], found["stated_by"]) == ("failed", "sa:sales/agent")
    for body in ({"outcome": "abandoned", "reason": "r"}, {"outcome": "failed"}):
        assert send(key, ours.task, **body).status_code in (400, 422)
    before = denials()
    refused = send(key, theirs.task, outcome="failed", reason="r")
    assert denials() == before + 1
    missing = send(key, "task_none", outcome="failed", reason="r")
    assert denials() == before + 1
    assert refused.status_code == missing.status_code == 404
    # The same answer, but for the name: nothing can be found out by trying.
    told = refused.content.decode().replace(theirs.task, "task_none")
    assert json.loads(told)["error"]["message"] == missing.json()["error"]["message"]
    theirs.refresh_from_db()
    assert theirs.stated == ""
