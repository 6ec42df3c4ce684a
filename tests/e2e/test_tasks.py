"""Tasks in a browser: found in the list, looked into, their outcome stated."""

from datetime import timedelta

from playwright.sync_api import expect

from core.clock import now
from finops.models import TaskFact
from finops.services.task_facts import usage_reported
from tests.builders.finops import make_fact, make_usage
from tests.builders.runs import make_run, make_task
from tests.e2e.conftest import Visitor
from tests.e2e.test_every_page import faults_on
from tests.stack import Stack


def _task() -> str:
    """Two runs, of which the last succeeded, and usage that no run is named for."""
    at = now() - timedelta(minutes=30)
    task = make_task(label="Reconcile the ledger of October", team="sales")
    for attempt, status in enumerate(("failed", "succeeded"), 1):
        run = make_run(task=task, team="sales", status=status, at=at, model="m-1")
        make_fact(
            run=run.uid,
            task=task.uid,
            attempt=attempt,
            team="sales",
            status=status,
            model="m-1",
            ended_at=at + timedelta(minutes=attempt),
        )
    make_usage(
        "model/acme/m-1/input",
        "1200",
        cost="0.25",
        at=at,
        task=task.uid,
        team="sales",
        kind="model_tokens",
        unit="Tokens",
        token_kind="input",
        known="reported",
    )
    usage_reported(runs=[], tasks=[task.uid])
    return task.uid


def test_a_person_states_how_a_task_ended(admin: Visitor, stack: Stack) -> None:
    with stack.database():
        uid = _task()
    page = admin.page
    admin.open("/runs/")
    page.locator("#tg-nav").get_by_role("link", name="Tasks").click()
    page.get_by_role("link", name="Reconcile the ledger of October").click()
    assert page.url.endswith(f"/tasks/{uid}/")
    page.get_by_label("The task", exact=True).select_option("failed")
    page.get_by_label("Reason").fill("The sums do not match the bank's")
    page.get_by_role("button", name="State it").click()
    expect(page.get_by_text("It is on record that the task failed.")).to_be_visible()
    history = page.locator("#history")
    expect(history).to_contain_text("The sums do not match the bank's")
    with stack.database():
        assert TaskFact.objects.get(task=uid).stated == "failed"
    for path in ("/tasks/", f"/tasks/{uid}/"):
        assert faults_on(admin, path) == []
