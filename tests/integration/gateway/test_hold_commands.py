"""The commands that list and decide what waits for people."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.models import Event
from gateway.models import Run
from tests.builders.holds import make_approval, make_held_run, make_unknown

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def listed(*arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(*arguments).splitlines()]


def test_approvals_are_listed_by_state_and_team() -> None:
    ours = make_approval()
    theirs = make_approval(make_held_run(team="support"))
    late = make_approval(minutes_left=-1)
    rows = listed("approvals", "list")
    assert [row["approval"] for row in rows] == [theirs.uid, ours.uid]
    assert rows[1]["arguments"] == {"order": "o-17", "amount": 25}
    only = listed("approvals", "list", "--team", "sales", "--state", "all")
    assert [row["approval"] for row in only] == [late.uid, ours.uid]
    assert only[0]["state"] == "expired"


@pytest.mark.parametrize(
    ("act", "state"), [("approve", "approved"), ("reject", "rejected")]
)
def test_a_call_is_decided_by_the_one_at_the_terminal(act: str, state: str) -> None:
    approval = make_approval()
    out = run("approvals", act, approval.uid, "--reason", "4711")
    assert state in out
    approval.refresh_from_db()
    assert (approval.state, approval.reason) == (state, "4711")
    assert Event.objects.get(name="approval.decided").actor_id.startswith("cli:")
    assert Run.objects.get(uid=approval.run).status == "queued"
    with pytest.raises(CommandError, match=state):
        run("approvals", act, approval.uid, "--reason", "again")


def test_a_decision_without_a_reason_is_refused() -> None:
    approval = make_approval()
    with pytest.raises(CommandError, match="Give a reason"):
        run("approvals", "approve", approval.uid, "--reason", " ")
    with pytest.raises(CommandError, match="no such approval"):
        run("approvals", "approve", "apr_none", "--reason", "x")


def test_outcomes_are_listed_and_resolved() -> None:
    call = make_unknown()
    make_unknown(make_held_run(status="failed"))
    assert [row["id"] for row in listed("outcomes", "list")] == [call.pk]
    resolve = ("outcomes", "resolve", str(call.pk), "happened", "--reason", "seen")
    run(*resolve, "--value", '{"id": 1}')
    call.refresh_from_db()
    assert (call.outcome, call.result) == ("ok", {"id": 1})
    assert call.resolved_by.startswith("cli:")
    rows = listed("outcomes", "list", "--state", "decided")
    assert [(row["id"], row["because"]) for row in rows] == [(call.pk, "seen")]
    with pytest.raises(CommandError, match="known already"):
        run(*resolve)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["did_not", "--reason", " "], "Give a reason"),
        (["happened", "--reason", "x", "--value", "{"], "no JSON"),
        (["abandon", "--reason", "x", "--value", "1"], "Only a call that happened"),
    ],
)
def test_what_cannot_be_resolved_is_said(arguments: list[str], says: str) -> None:
    call = make_unknown()
    with pytest.raises(CommandError, match=says):
        run("outcomes", "resolve", str(call.pk), *arguments)
    call.refresh_from_db()
    assert call.outcome == "unknown"
