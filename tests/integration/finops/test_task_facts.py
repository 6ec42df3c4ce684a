"""What becomes of a task: its outcome, its tokens and how they are known."""

import json
import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import DjangoDbBlocker

from audit.models import Event
from core.errors import Invalid, NotFound
from core.ids import new_id
from finops.models import DirtyDay, RunFact, TaskFact
from finops.services import task_facts
from finops.services.facts import record_run
from tests.builders.finops import AT, make_fact, make_usage
from tests.builders.identity import ACTOR


@pytest.fixture
def committed(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[RunFact]:
    """A fact in a database without the usual transaction, cleaned by hand."""
    with django_db_blocker.unblock():
        try:
            yield make_fact(task="t0")
        finally:
            RunFact.objects.all().delete()
            TaskFact.objects.all().delete()
            DirtyDay.objects.all().delete()
            connection.close()


def fact_of(task: str) -> TaskFact:
    return TaskFact.objects.get(task=task)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("runs", "outcome"),
    [
        (["succeeded"], "succeeded"),
        (["failed"], "failed"),
        (["failed", "succeeded"], "succeeded"),
        (["succeeded", "cancelled"], "failed"),
    ],
)
def test_the_last_run_decides_the_outcome(runs: list[str], outcome: str) -> None:
    for number, status in enumerate(runs, 1):
        make_fact(task="t", attempt=number, status=status)
    assert fact_of("t").outcome == outcome
    assert fact_of("t").runs == len(runs)


@pytest.mark.django_db
def test_a_task_is_pending_while_a_run_of_it_is_open() -> None:
    make_fact(task="t", status="failed", submitted=2)
    assert fact_of("t").outcome == "pending"
    make_fact(task="t", attempt=2, submitted=2)
    assert fact_of("t").outcome == "succeeded"


@pytest.mark.django_db
def test_runs_that_end_out_of_order_give_the_same_task() -> None:
    for task, order in (("a", (1, 2, 3)), ("b", (3, 1, 2))):
        for number in order:
            make_fact(
                task=task,
                attempt=number,
                submitted=3,
                team=f"team-{number}",
                status="succeeded" if number == 3 else "failed",
                tools=[f"crm.t{number}"],
                tool_successes=[0],
                ended_at=AT + timedelta(minutes=number),
            )
    left = TaskFact.objects.filter(task="a").values().get()
    right = TaskFact.objects.filter(task="b").values().get()
    assert left | {"id": 0, "task": ""} == right | {"id": 0, "task": ""}
    assert (left["team"], left["outcome"]) == ("team-1", "succeeded")
    assert left["first_ended_at"] == AT + timedelta(minutes=1)
    assert left["tools"] == ["crm.t1", "crm.t2", "crm.t3"]


@pytest.mark.django_db
def test_two_calls_make_a_try_of_one_script_or_of_several_direct_calls() -> None:
    make_fact(task="script", tool_calls=2)
    for number in (1, 2):
        make_fact(task="single", attempt=number, tool_calls=1)
        make_fact(task="direct", attempt=number, tool_calls=1, mode="direct")
    tried = TaskFact.objects.filter(tried=True).values_list("task", flat=True)
    assert set(tried) == {"script", "direct"}


@pytest.mark.django_db
def test_measured_tokens_win_over_reported_and_those_over_the_estimate() -> None:
    fact = make_fact(task="t", tokens=1000)
    assert (fact_of("t").known, fact_of("t").tokens) == ("estimated", 1000)
    model: dict[str, Any] = {"kind": "model_tokens", "token_kind": "input"}
    told: dict[str, Any] = {**model, "known": "reported", "task": "t"}
    make_usage("model/x/y/input", "300", run=fact.run, **told)
    make_usage("model/x/y/input", "40", **told)
    task_facts.usage_reported(runs=[fact.run], tasks=["t"])
    assert (fact_of("t").known, fact_of("t").tokens) == ("reported", 340)
    make_usage("model/x/y/input", "200", run=fact.run, known="measured", **model)
    task_facts.usage_reported(runs=[fact.run], tasks=[])
    assert (fact_of("t").known, fact_of("t").tokens) == ("measured", 200)
    fact.refresh_from_db()
    assert (fact.tokens, fact.tokens_measured, fact.tokens_reported) == (1000, 200, 300)


@pytest.mark.django_db
def test_late_usage_is_in_the_cost_whatever_came_first() -> None:
    model: dict[str, Any] = {"kind": "model_tokens", "token_kind": "input"}
    make_usage("model/x/y/input", "9", cost="0.25", run="run_a", task="t", **model)
    make_usage("model/x/y/input", "9", cost="0.5", task="t", **model)
    task_facts.usage_reported(runs=["run_a"], tasks=["t"])
    assert not TaskFact.objects.exists()
    make_usage("tool/crm.x", "1", cost="1", run="run_a", task="t")
    make_fact(run="run_a", task="t", cost="1")
    assert RunFact.objects.get(run="run_a").cost == Decimal("1.25")
    assert fact_of("t").cost == Decimal("1.75")
    make_usage("model/x/y/input", "9", cost=None, run="run_a", task="t", **model)
    make_usage("model/x/y/input", "9", cost="2", run="run_a", task="t", **model)
    for _ in range(2):
        task_facts.usage_reported(runs=["run_a"], tasks=["t"])
    run = RunFact.objects.get(run="run_a")
    assert (run.cost, run.unrated) == (Decimal("3.25"), 1)
    assert (fact_of("t").cost, fact_of("t").unrated) == (Decimal("3.75"), 1)


@pytest.mark.django_db
def test_a_failed_task_is_abandoned_after_a_day_and_a_new_run_takes_it_up() -> None:
    make_fact(task="t", status="failed")
    make_fact(task="done")
    assert task_facts.settle_abandoned(at=AT + timedelta(hours=24)) == 0
    later = AT + timedelta(hours=25)
    assert task_facts.settle_abandoned(at=later) == 1
    assert task_facts.settle_abandoned(at=later) == 0
    assert fact_of("t").outcome == "abandoned"
    task_facts.usage_reported(runs=[], tasks=["t"])
    assert fact_of("t").outcome == "abandoned"
    make_fact(task="t", attempt=2, ended_at=later)
    assert fact_of("t").outcome == "succeeded"


@pytest.mark.django_db
def test_a_stated_outcome_wins_and_is_on_record() -> None:
    make_fact(task="t")
    task_facts.state_outcome(
        task="t",
        outcome="failed",
        reason="Wrong",
        teams={"support"},
        actor=ACTOR,
        at=AT,
    )
    make_fact(task="t", attempt=2)
    task_facts.usage_reported(runs=[], tasks=["t"])
    found = fact_of("t")
    assert (found.outcome, found.stated) == ("failed", "failed")
    assert found.stated_by == ACTOR.id
    event = Event.objects.get(name="task.outcome_stated")
    payload = json.loads(event.body)["payload"]
    assert payload == {"outcome": "failed", "before": "succeeded", "reason": "Wrong"}
    assert task_facts.settle_abandoned(at=AT + timedelta(days=9)) == 0


@pytest.mark.django_db
def test_nobody_states_the_outcome_of_another_teams_task() -> None:
    make_fact(task="t")
    for task, teams in (("t", {"sales"}), ("none", None)):
        with pytest.raises(NotFound):
            task_facts.state_outcome(
                task=task, outcome="failed", reason="r", teams=teams, actor=ACTOR, at=AT
            )
    with pytest.raises(Invalid):
        task_facts.state_outcome(
            task="t", outcome="abandoned", reason="r", teams=None, actor=ACTOR, at=AT
        )
    assert fact_of("t").stated == ""
    assert not Event.objects.filter(name="task.outcome_stated").exists()


@pytest.mark.django_db
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_kept_up_run_by_run_tasks_are_those_of_a_rebuild(seed: int) -> None:
    source = random.Random(seed)
    with transaction.atomic():
        numbers = {f"t{n}": list(range(1, source.randint(1, 4))) for n in range(4)}
        left = [(task, n) for task, runs in numbers.items() for n in runs]
        source.shuffle(left)
        model: dict[str, Any] = {"kind": "model_tokens", "token_kind": "output"}
        for task, number in left:
            fact = make_fact(
                task=task,
                attempt=number,
                submitted=number,
                team=source.choice(("support", "sales")),
                mode=source.choice(("script", "direct")),
                status=source.choice(("succeeded", "failed", "cancelled")),
                tool_calls=source.randint(0, 3),
                tools=sorted(source.sample(("a.x", "a.y", "b.z"), 2)),
                tool_successes=[0, 1],
                cost="0.1",
                ended_at=AT + timedelta(seconds=source.randint(0, 10**6)),
            )
            make_usage("tool/a.x", "1", cost="0.1", run=fact.run, task=task)
            if source.random() < 0.5:
                run = source.choice((fact.run, ""))
                known = source.choice(("measured", "reported"))
                make_usage(
                    "model/x/y/output", "50", run=run, task=task, known=known, **model
                )
                task_facts.usage_reported(runs=[fact.run], tasks=[task])
        kept = list(TaskFact.objects.order_by("task").values())
        task_facts.rebuild(start=AT, end=AT + timedelta(days=30))
        assert list(TaskFact.objects.order_by("task").values()) == kept
        whole = [{**row, "id": 0} for row in kept]
        TaskFact.objects.all().delete()
        assert task_facts.rebuild(start=AT, end=AT + timedelta(days=30)) == len(kept)
        again = [{**row, "id": 0} for row in TaskFact.objects.order_by("task").values()]
        assert again == whole
        transaction.set_rollback(True)


def test_runs_of_one_task_that_end_at_once_are_all_counted(
    committed: RunFact,
) -> None:
    values = {
        field.attname: getattr(committed, field.attname)
        for field in RunFact._meta.concrete_fields
        if field.attname != "id"
    }

    def end(number: int) -> None:
        own = {"run": new_id("run"), "task": "t", "attempt": number}
        with transaction.atomic():
            record_run(fact=RunFact(**(values | own)), submitted=8)
        connection.close()

    threads = [threading.Thread(target=end, args=(n,)) for n in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = fact_of("t")
    assert (found.runs, found.outcome, found.first_attempt) == (8, "succeeded", 1)
    assert found.run_estimated == 8 * committed.tokens
