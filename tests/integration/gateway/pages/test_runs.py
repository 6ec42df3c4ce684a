"""Pages of runs: list, one run, cancel."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.actor import SYSTEM
from audit.models import Event
from audit.services.record import record
from core.clock import now
from gateway import events
from gateway.models import Run
from gateway.services.runs import run_target
from tests.builders.holds import make_approval, make_held_run, make_unknown
from tests.builders.identity import Cast
from tests.builders.runs import make_call, make_run, make_task
from tests.integration.gateway.pages.conftest import Browse, queries_of

ERROR = {
    "code": "script_error",
    "message": 'NameError: "code":"timeout" \u202eevil <script>alert(1)</script>',
    "line": 4,
    "retryable": False,
    "suggestions": ["orders"],
}


def recent(team: str = "sales", **fields: Any) -> Run:
    at = fields.pop("at", now() - timedelta(minutes=5))
    return make_run(team=team, at=at, **fields)


def page(client: Client, query: str = "") -> str:
    response = client.get(reverse("runs") + query)
    assert response.status_code == 200
    return response.content.decode()


def detail(client: Client, run: Run, query: str = "") -> str:
    response = client.get(reverse("run", args=[run.uid]) + query)
    assert response.status_code == 200
    return response.content.decode()


def test_people_see_the_runs_of_their_teams(cast: Cast, browse: Browse) -> None:
    ours, theirs = recent("sales"), recent("support")
    for user, seen in (
        (cast.member, [True, False]),
        (cast.outsider, [False, True]),
        (cast.auditor, [True, True]),
        (cast.finance, [True, True]),
    ):
        html = page(browse(user))
        assert [ours.uid in html, theirs.uid in html] == seen
    response = browse(cast.member).get(reverse("run", args=[theirs.uid]))
    assert response.status_code == 404
    assert theirs.task.uid not in response.content.decode()


@pytest.mark.parametrize(
    "query",
    [
        "?status=failed",
        "?team=sales",
        "?environment=prod",
        "?tool=crm.refund",
        "?principal=sa:sales",
        "?error=script_error",
        "?task=nightly",
        "?q=needle",
        "?q={uid}",
        "?period=24h",
        "?first={day}&last={day}",
    ],
)
def test_each_filter_finds_its_run(cast: Cast, browse: Browse, query: str) -> None:
    task = make_task(label="nightly report", team="sales")
    wanted = recent(
        task=task,
        environment="prod",
        status="failed",
        error=ERROR,
        code="return 'needle'",
    )
    make_call(wanted, tool="crm.refund")
    other = recent("support", at=now() - timedelta(days=3))
    make_call(other)
    query = query.format(uid=wanted.uid, day=wanted.queued_at.date())
    html = page(browse(cast.auditor), query)
    assert wanted.uid in html
    assert other.uid not in html


def test_a_script_cannot_pass_for_another_error(cast: Cast, browse: Browse) -> None:
    run = recent(status="failed", error=ERROR)
    assert run.uid not in page(browse(cast.auditor), "?error=timeout")


def test_older_runs_need_a_longer_period(cast: Cast, browse: Browse) -> None:
    old = recent(at=now() - timedelta(days=20))
    client = browse(cast.member)
    assert "No runs in the last 7 days" in page(client)
    assert old.uid in page(client, "?period=30d")
    assert old.uid in page(client, "?period=all")


def test_a_senseless_filter_is_a_422_that_says_so(cast: Cast, browse: Browse) -> None:
    recent()
    response = browse(cast.member).get(reverse("runs") + "?period=yesterday")
    assert response.status_code == 422
    assert "Select a valid choice" in response.content.decode()


def test_pages_by_key_neither_skip_nor_repeat(cast: Cast, browse: Browse) -> None:
    uids = [recent().uid for _ in range(120)][::-1]
    client = browse(cast.member)
    seen: list[str] = []
    url = reverse("runs")
    while url:
        context = client.get(url).context["page"]
        seen += [run.uid for run in context.rows]
        url = context.older
    assert seen == uids


def test_the_export_has_the_same_rows_and_is_on_record(
    cast: Cast, browse: Browse
) -> None:
    run = recent(status="failed", error=ERROR)
    recent("support")
    response = browse(cast.member).get(reverse("runs") + "?export=json&team=sales")
    body = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    rows = [json.loads(line) for line in body.splitlines()]
    assert [(row["run"], row["error_code"]) for row in rows] == [
        (run.uid, "script_error")
    ]
    assert Event.objects.filter(name="list.exported", actor_id="user:alice").exists()


def test_what_a_script_wrote_cannot_act_or_hide(cast: Cast, browse: Browse) -> None:
    nasty = "<img src=x onerror=alert(1)>\u202e"
    run = recent(
        status="failed",
        error=ERROR,
        code=f"x = '{nasty}'\n'</code><script>alert(2)</script>'\n",
        stdout=nasty,
        value={"html": nasty},
    )
    make_call(run, arguments={nasty: nasty}, error={"code": "c", "message": nasty})
    html = detail(browse(cast.member), run)
    assert "<img src=x" not in html
    assert "<script>alert" not in html
    shown = html.replace(f'aria-label="Source of the script">{run_source(html)}', "")
    assert "\u202e" not in shown
    assert "\\u202e" in shown


def run_source(html: str) -> str:
    """The script as the copy button takes it: exact, and never shown."""
    return html.partition('aria-label="Source of the script">')[2].partition("</te")[0]


def test_the_errors_line_is_marked(cast: Cast, browse: Browse) -> None:
    html = detail(browse(cast.member), recent(status="failed", error=ERROR))
    assert '<span class="tg-line tg-line-marked" id="L4">' in html
    assert html.count("tg-line-marked") == 1
    assert 'href="#L4"' in html


def test_the_timeline_places_queue_run_and_calls(cast: Cast, browse: Browse) -> None:
    run = recent(queue_seconds=1.0, run_seconds=3.0)
    make_call(run, after_seconds=1.0, seconds=2.0)
    html = detail(browse(cast.member), run)
    assert 'class="tg-bar tg-bar-queue" x="0" y="0" width="250"' in html
    assert 'class="tg-bar tg-bar-succeeded" x="250" y="0" width="750"' in html
    assert 'class="tg-bar tg-bar-ok" x="500" y="0" width="500"' in html


def test_limits_journal_and_other_attempts_are_shown(
    cast: Cast, browse: Browse
) -> None:
    task = make_task(team="sales")
    first = recent(task=task, status="failed", error=ERROR)
    second = recent(task=task)
    make_call(second, decision="deny", outcome="denied")
    html = detail(browse(cast.member), second)
    assert reverse("run", args=[first.uid]) in html
    assert "40.0 of 256 MiB" in html
    assert "no grant" in html


def test_an_open_run_refreshes_itself_until_it_ends(cast: Cast, browse: Browse) -> None:
    run = recent(status="running")
    client = browse(cast.member)
    assert 'hx-trigger="every 1s"' in detail(client, run)
    Run.objects.filter(pk=run.pk).update(status="succeeded", finished_at=now())
    response = client.get(
        reverse("run", args=[run.uid]) + "?live=1", headers={"HX-Request": "true"}
    )
    assert response["HX-Refresh"] == "true"
    assert b"<html" not in response.content
    assert b"every 1s" not in response.content


def test_members_cancel_runs_of_their_team(cast: Cast, browse: Browse) -> None:
    run = recent(status="running")
    response = browse(cast.member).post(reverse("run_cancel", args=[run.uid]))
    run.refresh_from_db()
    assert response.status_code == 302
    assert run.cancel_requested_at is not None
    assert Event.objects.get(name="run.cancelled").actor_id == "user:alice"


def test_nobody_else_cancels(cast: Cast, browse: Browse) -> None:
    run = recent(status="running")
    for user, status in (
        (cast.auditor, 403),
        (cast.finance, 403),
        (cast.outsider, 404),
    ):
        url = reverse("run_cancel", args=[run.uid])
        assert browse(user).post(url).status_code == status
        assert (
            "Stop the run"
            not in browse(user).get(reverse("run", args=[run.uid])).content.decode()
        )
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_the_trail_is_shown_to_those_who_may_read_it(
    cast: Cast, browse: Browse
) -> None:
    run = recent(status="running")
    browse(cast.member).post(reverse("run_cancel", args=[run.uid]))
    assert run_target(run).id == run.uid
    assert "run.cancelled" in detail(browse(cast.auditor), run)
    assert "run.cancelled" not in detail(browse(cast.member), run)


def test_thirty_runs_cost_as_many_queries_as_three(cast: Cast, browse: Browse) -> None:
    client = browse(cast.admin)
    runs = [recent(cost=Decimal(1)) for _ in range(3)]
    for _ in range(3):
        make_call(runs[0])
    paths = (reverse("runs"), reverse("run", args=[runs[0].uid]))
    few = [queries_of(client, path) for path in paths]
    for _ in range(27):
        recent(error=ERROR, status="failed")
        make_call(runs[0])
        recent(task=runs[0].task)
    assert [queries_of(client, path) for path in paths] == few


@pytest.mark.parametrize(
    "query",
    [
        "?status=awaiting_approval",
        "?project=sales/web",
        "?project=web",
        "?mode=direct",
        "?model=qwen3-coder",
        "?cost_centre=CC-9",
    ],
)
def test_each_filter_of_the_cost_reports_finds_its_run(
    cast: Cast, browse: Browse, query: str
) -> None:
    wanted = recent(
        status="awaiting_approval",
        project="web",
        mode="direct",
        model="qwen3-coder",
        cost_centre="CC-9",
    )
    other = recent()
    html = page(browse(cast.auditor), query)
    assert wanted.uid in html
    assert other.uid not in html


def test_a_waiting_run_says_who_decides_and_links_for_those_who_may(
    cast: Cast, browse: Browse
) -> None:
    run = make_held_run()
    approval = make_approval(run, requesters=["user:bob"])
    url = reverse("approval", args=[approval.uid])
    html = detail(browse(cast.member), run)
    assert "This run waits for an approval" in html
    assert "Erin Example may decide." in html
    assert f'href="{url}"' not in html
    assert 'hx-trigger="every 5s"' in html
    assert f'href="{url}"' in detail(browse(cast.admin), run)
    assert f'href="{url}"' not in detail(browse(cast.auditor), run)


def test_a_run_with_an_unknown_outcome_leads_to_the_decision(
    cast: Cast, browse: Browse
) -> None:
    call = make_unknown()
    url = reverse("outcome_resolve", args=[call.pk])
    assert url in detail(browse(cast.approver), call.run)
    html = detail(browse(cast.member), call.run)
    assert "what became of a write" in html
    assert "Bob Example, Erin Example may decide." in html
    assert url not in html


def test_a_run_that_comes_to_rest_is_shown_anew_once(
    cast: Cast, browse: Browse
) -> None:
    run = make_held_run()
    url = reverse("run", args=[run.uid]) + "?live=1&was="
    client = browse(cast.member)
    part = {"HX-Request": "true"}
    assert client.get(url + "running", headers=part)["HX-Refresh"] == "true"
    again = client.get(url + "awaiting_approval", headers=part)
    assert "HX-Refresh" not in again.headers


def test_a_waiting_run_is_cancelled_at_once(cast: Cast, browse: Browse) -> None:
    approval = make_approval()
    run = Run.objects.get(uid=approval.run)
    assert "Stop the run" in detail(browse(cast.member), run)
    browse(cast.member).post(reverse("run_cancel", args=[run.uid]))
    run.refresh_from_db()
    approval.refresh_from_db()
    assert (run.status, approval.state) == ("cancelled", "withdrawn")


def test_the_time_for_people_stands_beside_queue_and_run(
    cast: Cast, browse: Browse
) -> None:
    start = now() - timedelta(minutes=5)
    run = recent(at=start, queue_seconds=10, run_seconds=90, hold_seconds=40.0)
    for name, seconds, payload in (
        (events.RUN_HELD, 30, {"status": "awaiting_approval"}),
        (events.RUN_RESUMED, 70, {"reason": "approved"}),
    ):
        record(
            name,
            actor=SYSTEM,
            at=start + timedelta(seconds=seconds),
            run=run.uid,
            payload=payload,
        )
    html = detail(browse(cast.member), run)
    assert "<dt>Hold</dt><dd>40.0 s</dd>" in html
    assert "<dt>Run</dt><dd>50.0 s</dd>" in html
    assert 'class="tg-bar tg-bar-over" x="300" y="0" width="400"' in html
    listed = page(browse(cast.member))
    for figure in ("10.0 s", "40.0 s", "50.0 s"):
        assert f'<td class="tg-number">{figure}</td>' in listed


def test_the_journal_says_in_which_claim_each_step_was_called(
    cast: Cast, browse: Browse
) -> None:
    run = recent(epoch=3, status="running")
    make_call(run, epoch=1)
    make_call(run, epoch=3)
    make_call(run, epoch=2, outcome="unknown")
    html = " ".join(detail(browse(cast.member), run).split())
    assert "claim 1, replayed in claim 3" in html
    assert ">claim 3</div>" in html
    assert "claim 2, on record" in html
    assert "claimed 3 times" in html
    once = recent()
    make_call(once)
    assert "claim 1</div>" not in detail(browse(cast.member), once)


def test_the_approvals_of_a_run_stand_on_its_page(cast: Cast, browse: Browse) -> None:
    run = recent()
    approval = make_approval(run, state="used")
    html = detail(browse(cast.member), run)
    assert "Ticket 4711" in html
    assert "Bob Example" in html
    url = reverse("approval", args=[approval.uid])
    assert url not in html
    assert url in detail(browse(cast.approver), run)
