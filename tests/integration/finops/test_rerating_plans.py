"""Re-rating is looked at first, and does just what was seen, however often it runs."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from audit.actor import Actor
from audit.models import Event
from core.clock import now
from core.errors import Invalid, NotFound
from core.money import total
from finops.models import Rerating, UsageEvent
from finops.services import rerating, rerating_plans
from finops.services.fx import set_rate
from finops.services.prices import set_price
from finops.services.rerating import Wanted
from finops.services.rerating_plans import apply, look, moved_by, work_on, work_on_lost
from finops.tasks import work_on_lost_reratings, work_on_rerating
from policy.models import User
from tests.builders.finops import AT, make_price, make_usage
from tests.builders.identity import make_account, make_cast, make_key, make_team

FINANCE = Actor("user", "user:fiona", "Fiona")
WANTED = Wanted(AT - timedelta(days=10), AT + timedelta(days=10))
State = Rerating.State
pytestmark = pytest.mark.django_db


class Everybody:
    """Rights of who may price all usage anew."""

    def may(self, capability: str) -> bool:
        return True

    def teams_for(self, capability: str) -> frozenset[str] | None:
        return None


def _look(wanted: Wanted = WANTED) -> Rerating:
    return look(wanted=wanted, teams=None, actor=FINANCE, at=AT)


def _apply(asked: Rerating, digest: str = "") -> Rerating:
    return apply(
        uid=asked.uid,
        digest=digest or asked.digest,
        reason="Contract",
        rights=Everybody(),
        actor=FINANCE,
        at=AT,
    )


def _set(amount: str) -> None:
    set_price(
        sku="tokens/a",
        unit="Tokens",
        amount=Decimal(amount),
        valid_from=AT - timedelta(days=20),
        reason="Contract",
        actor=FINANCE,
        at=AT,
    )


@pytest.fixture
def ledger(db: None) -> None:
    for number in range(7):
        make_usage("tokens/a", "1", cost="1", at=AT + timedelta(minutes=number))
    make_usage("tokens/a", "4", cost=None)
    make_price("tokens/a", "3")


def _cost() -> Decimal:
    return total(row.cost or Decimal(0) for row in UsageEvent.objects.all())


def test_what_was_seen_is_done_and_twice_is_once(ledger: None) -> None:
    asked = _look()
    (found,) = moved_by(asked)
    assert (asked.state, asked.rows, found.rows) == (State.LOOKED, 8, 8)
    assert (found.before, found.after) == (Decimal(7), Decimal(33))
    assert UsageEvent.objects.count() == 8
    done = _apply(asked)
    assert (done.state, done.passed, done.changed) == (State.DONE, 8, 8)
    assert _cost() == Decimal(33)
    work_on(uid=asked.uid)
    with pytest.raises(Invalid, match="Look at the difference first"):
        _apply(asked)
    assert UsageEvent.objects.count() == 24
    again = _look()
    assert (again.rows, again.result) == (8, [])


def test_only_what_was_looked_at_is_done(ledger: None) -> None:
    asked = _look()
    with pytest.raises(Invalid, match="not the one shown"):
        _apply(asked, "0" * 64)
    later = make_usage("tokens/a", "1", cost="9")
    _apply(asked)
    assert later in UsageEvent.objects.standing()


def test_another_book_or_rate_makes_it_look_again(ledger: None) -> None:
    asked = _look()
    _set("5")
    with pytest.raises(Invalid, match="has changed since"):
        _apply(asked)
    asked = _look()
    set_rate(
        month=AT.date(),
        currency="EUR",
        rate=Decimal("1.1"),
        reason="ECB",
        actor=FINANCE,
        at=AT,
    )
    with pytest.raises(Invalid, match="has changed since"):
        _apply(asked)
    assert UsageEvent.objects.count() == 8
    assert not Event.objects.filter(name="usage.rerated").exists()


def test_much_is_done_by_a_task_that_may_die_and_run_again(
    ledger: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerating_plans, "AT_ONCE", 5)
    monkeypatch.setattr(rerating_plans, "BATCH", 3)
    asked = _look()
    assert asked.state == State.LOOKING
    work_on_rerating(uid=asked.uid)
    asked.refresh_from_db()
    assert (asked.state, asked.rows) == (State.LOOKED, 8)
    asked = _apply(asked)
    assert (asked.state, asked.passed) == (State.WORKING, 0)
    # A worker does one batch and is gone; another takes over where it was.
    asked = rerating_plans._step(asked.uid)
    assert (asked.state, asked.passed, asked.percent) == (State.WORKING, 3, 37)
    assert work_on_lost(at=now()) == 0
    Rerating.objects.update(alive_at=AT)
    work_on_lost_reratings()
    asked.refresh_from_db()
    assert (asked.state, asked.passed, asked.changed) == (State.DONE, 8, 8)
    assert _cost() == Decimal(33)
    assert Event.objects.filter(name="usage.rerated").count() == 3


def test_a_book_that_changes_on_the_way_stops_it(
    ledger: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerating_plans, "AT_ONCE", 5)
    monkeypatch.setattr(rerating_plans, "BATCH", 3)
    asked = work_on(uid=_look().uid)
    _apply(asked)
    rerating_plans._step(asked.uid)
    _set("5")
    assert work_on(uid=asked.uid).state == State.STALE
    assert UsageEvent.objects.count() == 8 + 6
    # Looking again finds what is left and what was done by the book before.
    (left,) = moved_by(work_on(uid=_look().uid))
    assert (left.rows, left.after) == (8, Decimal(55))


def test_a_key_prices_its_own_teams_usage_alone() -> None:
    own, other = make_team("sales"), make_team("support")
    for team in (own, other):
        make_usage("tokens/a", "1", cost=None, team=team.slug)
    make_price("tokens/a", "3")
    client = Client()

    def post(path: str, team: Any, **body: str) -> Any:
        key = keys[team.slug]
        return client.post(
            f"/api/v1/costs/rerate/{path}",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )

    keys = {
        team.slug: make_key(make_account(team=team), scopes=["costs:write"]).text
        for team in (own, other)
    }
    span = {"start": WANTED.start.isoformat(), "end": WANTED.end.isoformat()}
    shown = post("", own, **span)
    assert shown.status_code == 200
    body = shown.json()
    assert (body["state"], body["rows"], body["teams"]) == ("looked", 1, ["sales"])
    do = {"digest": body["digest"], "reason": "Price was late"}
    assert post(f"{body['uid']}/apply/", other, **do).status_code == 404
    done = post(f"{body['uid']}/apply/", own, **do)
    assert (done.status_code, done.json()["state"]) == (200, "done")
    costs = dict(UsageEvent.objects.standing().values_list("team", "cost"))
    assert costs == {"sales": Decimal(3), "support": None}
    assert post("", own, start=span["end"], end=span["start"]).status_code == 422


def test_people_without_the_right_see_none() -> None:
    cast = make_cast()
    asked = _look()

    def get(user: User) -> int:
        client = Client()
        client.force_login(user)
        status: int = client.get(f"/api/v1/costs/rerate/{asked.uid}/").status_code
        return status

    assert (get(cast.finance), get(cast.member)) == (200, 403)
    with pytest.raises(NotFound):
        rerating_plans.rerating_for(Everybody(), "rer_no")
    assert rerating.preview(WANTED) == ()
