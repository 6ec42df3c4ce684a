"""The command that makes a key: its text alone on the last line."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.models import Event
from core.clock import now
from policy.models import ApiKey
from policy.services import keys
from tests.builders.identity import make_environment, make_team

pytestmark = pytest.mark.django_db


def _run(*arguments: str) -> str:
    out = StringIO()
    call_command("create_key", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_last_line_is_the_key_and_it_works() -> None:
    make_team("sales")
    make_environment("prod", position=2)
    make_environment("dev", position=1)
    out = _run(
        "--team", "sales", "--name", "ci", "--scopes", "tools:crm.*,runs:execute"
    )
    text = out.splitlines()[-1]
    principal = keys.authenticate(text=text, at=now(), address="", request_id="")
    assert principal.scopes == ("tools:crm.*", "runs:execute")
    assert (principal.team, principal.environment) == ("sales", "dev")
    event = Event.objects.newest_first()[0]
    assert event.name == "key.created"
    assert event.actor_id.startswith("cli:")


def test_the_account_is_made_once_and_the_key_may_expire() -> None:
    team = make_team("sales")
    make_environment("dev")
    for name in ("one", "two"):
        _run("--team", "sales", "--name", name, "--account", "bot", "--days", "3")
    assert team.service_accounts.get().name == "bot"
    assert ApiKey.objects.filter(expires_at__isnull=False).count() == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--team", "nope"], "teams are: sales"),
        (["--team", "sales", "--environment", "moon"], "environments are: dev"),
        (["--team", "sales", "--project", "nope"], "it has: default"),
        (["--team", "sales", "--scopes", "nonsense"], "is no scope"),
        (["--team", "sales", "--days", "-1"], "expired already"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_made(
    arguments: list[str], says: str
) -> None:
    make_team("sales")
    make_environment("dev")
    with pytest.raises(CommandError, match=says):
        _run("--name", "n", *arguments)
    assert not ApiKey.objects.exists()
