"""Keys: shown once, hashed, refused once they end, and never more than granted."""

from datetime import datetime, timedelta

import pytest

from audit.models import Event
from core.errors import Denied, Invalid, NotFound
from policy.models import ApiKey, ServiceAccount
from policy.principal import Principal
from policy.services import keys
from policy.services.delegation import check_delegation
from policy.services.keys import KeyRefused
from tests.builders.identity import (
    ACTOR,
    AT,
    make_account,
    make_environment,
    make_key,
    make_project,
    make_team,
)

pytestmark = pytest.mark.django_db
LATER = AT + timedelta(hours=1)


def _try(text: str, *, at: datetime = LATER) -> Principal:
    return keys.authenticate(
        text=text,
        at=at,
        address="10.0.0.9",
        request_id="req_1",
    )


def test_a_key_stands_for_its_account_team_project_and_environment() -> None:
    team = make_team("sales", cost_centre="CC-7")
    new = make_key(
        make_account(team, "bot"), scopes=["tools:crm.*"], environment="prod"
    )
    principal = _try(new.text)
    assert principal.id == "sa:sales/bot"
    assert (principal.team, principal.cost_centre) == ("sales", "CC-7")
    assert (principal.project, principal.environment) == ("default", "prod")
    assert principal.scopes == ("tools:crm.*",)
    assert principal.actor.address == "10.0.0.9"
    assert principal.actor.request_id == "req_1"


def test_neither_the_row_nor_the_trail_holds_the_text() -> None:
    new = make_key()
    secret = new.text.removeprefix(f"{new.key.prefix}_")
    row = str(ApiKey.objects.filter(pk=new.key.pk).values().get())
    assert secret not in row
    assert secret not in "".join(Event.objects.values_list("body", flat=True))


@pytest.mark.parametrize(
    "text",
    ["", "tg_", "tg_00000000_" + "a" * 43, "nonsense", "tg_\x00", "x" * 10_000],
)
def test_an_unknown_key_is_refused_on_record(text: str) -> None:
    with pytest.raises(KeyRefused, match="no key of this Tollgate"):
        _try(text)
    event = Event.objects.newest_first()[0]
    assert (event.name, event.decision) == ("key.refused", "deny")
    assert event.actor_kind == "anonymous"


def test_the_right_prefix_with_another_secret_is_refused() -> None:
    new = make_key()
    with pytest.raises(KeyRefused):
        _try(f"{new.key.prefix}_{'a' * 43}")
    body = Event.objects.newest_first()[0].body
    assert new.key.prefix in body


def test_a_revoked_key_stops_at_once_and_says_so() -> None:
    new = make_key()
    _try(new.text)
    keys.revoke_key(key_id=new.key.pk, reason="leaked", actor=ACTOR, at=LATER)
    with pytest.raises(KeyRefused, match="revoked"):
        _try(new.text)
    event = Event.objects.get(name="key.revoked")
    assert event.summary.endswith(": leaked")


def test_revoking_twice_changes_and_records_nothing_more() -> None:
    new = make_key()
    for _ in range(2):
        keys.revoke_key(key_id=new.key.pk, reason="x", actor=ACTOR, at=LATER)
    assert Event.objects.filter(name="key.revoked").count() == 1


def test_a_key_expires_at_its_moment() -> None:
    new = make_key(expires_at=LATER)
    assert _try(new.text, at=LATER - timedelta(seconds=1))
    with pytest.raises(KeyRefused, match="expired"):
        _try(new.text, at=LATER)


def test_use_is_noted_at_most_once_a_minute() -> None:
    new = make_key()
    for seconds in (0, 30, 61):
        _try(new.text, at=LATER + timedelta(seconds=seconds))
    new.key.refresh_from_db()
    assert new.key.last_used_at == LATER + timedelta(seconds=61)
    _try(new.text, at=LATER + timedelta(seconds=90))
    new.key.refresh_from_db()
    assert new.key.last_used_at == LATER + timedelta(seconds=61)


def test_a_key_needs_scopes_a_project_of_its_team_and_a_future() -> None:
    with pytest.raises(Invalid, match="at least one scope"):
        make_key(scopes=[])
    with pytest.raises(Invalid, match="expired already"):
        make_key(expires_at=AT)
    account = make_account(make_team("sales"))
    with pytest.raises(Invalid, match="another team"):
        keys.create_key(
            service_account=account,
            name="n",
            environment=make_environment(),
            project=make_project(make_team("support")),
            granted=["tools:*"],
            actor=ACTOR,
            at=AT,
        )
    assert not ApiKey.objects.exists()


def test_a_new_account_is_not_left_behind_when_the_key_fails() -> None:
    team = make_team()
    with pytest.raises(Invalid, match="scope"):
        keys.create_key_for(
            team=team,
            account=None,
            new_account="bot",
            name="n",
            environment=make_environment(),
            project=make_project(team),
            granted=["nonsense"],
            actor=ACTOR,
            at=AT,
        )
    assert not ServiceAccount.objects.exists()


def test_an_unknown_key_cannot_be_revoked() -> None:
    with pytest.raises(NotFound):
        keys.revoke_key(key_id=99, reason="x", actor=ACTOR, at=AT)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"team": "support"}, "keys of sales only"),
        ({"environment": "prod"}, "keys of it only"),
        ({"granted": ["tools:*"]}, "tools:\\*"),
        ({"granted": ["admin:keys"]}, "admin:keys"),
        ({"expires_at": None}, "expires_at"),
        ({"expires_at": LATER + timedelta(days=1)}, "expires_at"),
    ],
)
def test_a_key_hands_on_no_more_than_it_has(
    change: dict[str, object], words: str
) -> None:
    new = make_key(scopes=["tools:crm.*"], expires_at=LATER)
    asked: dict[str, object] = {
        "team": "sales",
        "environment": "dev",
        "granted": ["tools:crm.list_orders"],
        "expires_at": LATER,
    }
    principal = keys.principal_of(new.key)
    check_delegation(principal=principal, **asked)  # type: ignore[arg-type]
    with pytest.raises(Denied, match=words):
        check_delegation(principal=principal, **{**asked, **change})  # type: ignore[arg-type]
