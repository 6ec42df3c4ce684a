"""The sweeper wakes runs whose decision was made and never passed on."""

import pytest

from audit.models import Event
from core.clock import now
from gateway.models import Run
from gateway.services.sweep import sweep
from policy.services import approvals
from tests.builders.holds import make_approval, make_held_run, make_unknown
from tests.builders.identity import actor_of, make_team, make_user

pytestmark = pytest.mark.django_db


def test_a_run_whose_decision_was_not_passed_on_goes_on() -> None:
    decided, waiting = make_approval(), make_approval()
    both = make_approval(make_held_run())
    make_approval(Run.objects.get(uid=both.run), step=3)
    lost = make_unknown().run
    bob = actor_of(make_user("bob", (make_team("sales"), "approver")))
    for approval in (decided, both):
        # As if the process had died right after this commit.
        approvals.decide(
            uid=approval.uid, approve=True, reason="ok", actor=bob, at=now()
        )
    sweep(at=now())
    states = dict(Run.objects.values_list("uid", "status"))
    assert states == {
        decided.run: "queued",
        waiting.run: "awaiting_approval",
        both.run: "awaiting_approval",
        lost.uid: "awaiting_outcome",
    }
    assert Event.objects.get(name="run.resumed").run == decided.run
    sweep(at=now())
    assert Event.objects.filter(name="run.resumed").count() == 1
