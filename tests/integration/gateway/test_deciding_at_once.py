"""Many people decide at the same moment: exactly one decision counts."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from pytest_django import DjangoDbBlocker

from audit.actor import Actor
from audit.models import Event
from core.clock import now
from core.errors import TollgateError
from gateway.models import Run, Task, ToolCall
from gateway.services import holds
from policy.models import Approval, ApproverGroup, Membership, Team, User
from policy.routing import Audience, Route
from tests.builders.holds import make_approval, make_group, make_unknown
from tests.builders.identity import AT, make_user

PEOPLE = 32
_TRIGGERS = "ALTER TABLE audit_event {} TRIGGER USER"


@pytest.fixture
def committed(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """A database without the usual transaction around the test, cleaned by hand."""
    # Nobody may execute these runs while other tests use the same queue.
    monkeypatch.setattr("core.jobs.current_app.send_task", lambda *_, **__: None)
    with django_db_blocker.unblock():
        try:
            yield
        finally:
            uids = list(Run.objects.values_list("uid", flat=True))
            with connection.cursor() as cursor:
                cursor.execute(_TRIGGERS.format("DISABLE"))
                cursor.execute("DELETE FROM audit_event WHERE run = ANY(%s)", [uids])
                cursor.execute(_TRIGGERS.format("ENABLE"))
            Approval.objects.filter(run__in=uids).delete()
            ApproverGroup.objects.all().delete()
            User.objects.filter(username__regex=r"^p\d+$").delete()
            Membership.objects.filter(team__slug="sales").delete()
            Team.objects.filter(slug="sales").delete()
            Group.objects.filter(name="team:sales").delete()
            tasks = list(Run.objects.values_list("task", flat=True))
            Run.objects.filter(uid__in=uids).delete()
            Task.objects.filter(pk__in=tasks).delete()
            connection.close()


def at_once(act: Callable[[int], object]) -> list[str]:
    """Do it in as many threads as there are people; what each was told."""
    start = Barrier(PEOPLE)

    def one(number: int) -> str:
        try:
            start.wait(timeout=30)
            act(number)
        except TollgateError as error:
            return error.code
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(PEOPLE) as pool:
        return list(pool.map(one, range(PEOPLE)))


def person(number: int) -> Actor:
    return Actor("user", f"user:p{number}", f"Person {number}")


@pytest.fixture
def people(committed: None) -> list[User]:
    """As many approvers of sales as decide at the same time."""
    group = Group.objects.create(name="team:sales")
    team = Team.objects.create(
        slug="sales", name="Sales", cost_centre="C", group=group, created_at=AT
    )
    return [make_user(f"p{number}", (team, "approver")) for number in range(PEOPLE)]


def test_one_of_many_decisions_counts_and_the_run_is_woken_once(
    people: list[User],
) -> None:
    approval = make_approval()

    def decide(number: int) -> object:
        return holds.decide_approval(
            uid=approval.uid,
            approve=number % 2 == 0,
            reason=f"reason {number}",
            actor=person(number),
            at=now(),
        )

    said = at_once(decide)
    assert sorted(said) == ["approval_closed"] * (PEOPLE - 1) + ["done"]
    winner = said.index("done")
    approval.refresh_from_db()
    assert approval.decided_by == f"user:p{winner}"
    assert approval.reason == f"reason {winner}"
    assert approval.state == ("approved" if winner % 2 == 0 else "rejected")
    trail = Event.objects.filter(run=approval.run)
    assert trail.filter(name="approval.decided").count() == 1
    assert trail.filter(name="approval.refused").count() == PEOPLE - 1
    assert trail.filter(name="run.resumed").count() == 1
    assert Run.objects.get(uid=approval.run).status == "queued"


@pytest.mark.parametrize("quorum", [2, 5])
def test_a_quorum_takes_exactly_as_many_votes(people: list[User], quorum: int) -> None:
    make_group("board", *people)
    route = Route(Audience("group", "board"), quorum=quorum)
    approval = make_approval(routes=[route])

    def decide(number: int) -> object:
        return holds.decide_approval(
            uid=approval.uid, approve=True, reason="ok", actor=person(number), at=now()
        )

    said = at_once(decide)
    assert sorted(said) == ["approval_closed"] * (PEOPLE - quorum) + ["done"] * quorum
    approval.refresh_from_db()
    assert approval.state == "approved"
    voters = set(approval.votes.values_list("voter", flat=True))
    assert voters == {f"user:p{n}" for n, word in enumerate(said) if word == "done"}
    trail = Event.objects.filter(run=approval.run)
    assert trail.filter(name="approval.voted").count() == quorum - 1
    assert trail.filter(name="approval.decided").count() == 1
    assert trail.filter(name="approval.refused").count() == PEOPLE - quorum
    assert trail.filter(name="run.resumed").count() == 1


def test_one_person_at_many_windows_votes_once(people: list[User]) -> None:
    make_group("board", *people)
    approval = make_approval(routes=[Route(Audience("group", "board"), quorum=3)])

    def decide(_: int) -> object:
        return holds.decide_approval(
            uid=approval.uid, approve=True, reason="ok", actor=person(0), at=now()
        )

    said = at_once(decide)
    assert sorted(said) == ["approval_closed"] * (PEOPLE - 1) + ["done"]
    approval.refresh_from_db()
    assert (approval.state, approval.votes.count()) == ("pending", 1)
    refused = Event.objects.filter(run=approval.run, name="approval.refused")
    assert refused.count() == PEOPLE - 1


def test_one_of_many_resolutions_counts(committed: None) -> None:
    call = make_unknown()
    kinds = list(ToolCall.Resolution.values)

    def resolve(number: int) -> object:
        return holds.resolve(
            call_id=call.pk,
            resolution=kinds[number % 3],
            reason=f"reason {number}",
            actor=person(number),
            at=now(),
        )

    said = at_once(resolve)
    assert sorted(said) == ["done"] + ["invalid"] * (PEOPLE - 1)
    winner = said.index("done")
    call.refresh_from_db()
    assert (call.resolution, call.resolved_by) == (
        kinds[winner % 3],
        f"user:p{winner}",
    )
    trail = Event.objects.filter(run=call.run.uid)
    assert trail.filter(name="call.resolved").count() == 1
    ends = trail.filter(name__in=["run.resumed", "run.ended"])
    assert ends.count() == 1
