"""Grants: given and taken on record, once each, and read back by name."""

import json
from collections.abc import Iterator, Sequence
from threading import Thread

import pytest
from django.contrib.auth.models import Group
from django.db import OperationalError, connection, transaction
from guardian.models import GroupObjectPermission
from pytest_django.plugin import DjangoDbBlocker

from audit.models import Event
from core.errors import Invalid
from core.models import Revision, revisions
from gateway.models import Server, Tag
from gateway.services import access
from gateway.services.access import Grantable
from policy.holders import Holder
from policy.models import Team
from policy.selectors import grants_of
from policy.services.grants import granted_to
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import ACTOR, AT, make_environment, make_team

SALES = Holder("team", "sales")


def take(subject: Grantable, *holders: Holder, reason: str = "no longer needed") -> int:
    return access.take(
        subjects=[subject], holders=holders, reason=reason, actor=ACTOR, at=AT
    )


def give(subject: Grantable, *holders: Holder, reason: str = "asked for") -> int:
    return access.give(
        subjects=[subject], holders=holders, reason=reason, actor=ACTOR, at=AT
    )


@pytest.mark.django_db
def test_a_grant_is_its_teams_alone_until_it_is_taken() -> None:
    sales, support = make_team("sales"), make_team("support")
    make_environment("prod")
    server = make_server(name="crm")
    tool = make_tool(make_server(name="mail"), name="send", tags=["post"])
    make_grant(sales, server)
    make_grant(sales, tool, environment="prod")
    make_grant(sales, Tag(name="post"))
    assert [(row.label, row.holder.environment) for row in grants_of(sales)] == [
        ("crm.*", ""),
        ("mail.send", "prod"),
        ("tag post", ""),
    ]
    assert grants_of(support) == []

    before = revisions()[Revision.POLICY]
    assert take(server, SALES) == 1
    assert [row.label for row in grants_of(sales)] == ["mail.send", "tag post"]
    assert revisions()[Revision.POLICY] == before + 1
    event = Event.objects.newest_first()[0]
    assert event.summary == "Set-up took crm from team sales: no longer needed"
    body = json.loads(event.body)
    assert (body["before"], body["after"]) == ({"granted": True}, {"granted": False})


@pytest.mark.django_db
def test_what_is_so_already_is_neither_changed_nor_recorded() -> None:
    make_team("sales")
    server = make_server()
    assert give(server, SALES) == 1
    before = revisions()[Revision.POLICY], Event.objects.count()
    assert give(server, SALES, SALES) == 0
    assert take(server, Holder("role", "member")) == 0
    assert (revisions()[Revision.POLICY], Event.objects.count()) == before


@pytest.mark.django_db
def test_many_change_at_once_each_on_record() -> None:
    teams = [make_team(f"t{number}") for number in range(5)]
    holders = [Holder("team", team.slug) for team in teams]
    server = make_server()
    tools = [make_tool(server, name=f"x{number}") for number in range(4)]
    give(tools[0], holders[0])
    changed = access.give(
        subjects=tools, holders=holders, reason="roll-out", actor=ACTOR, at=AT
    )
    assert changed == 19
    assert Event.objects.filter(name="grant.given").count() == 20
    assert GroupObjectPermission.objects.count() == 20


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("holders", "reason", "says"),
    [
        ([SALES], "  ", "Say why"),
        ([SALES], "x" * 301, "at most 300"),
        ([SALES], "a\x00b", "printable"),
        ([], "r", "Choose at least one"),
        ([Holder("team", "nobody")], "r", "no team nobody"),
        ([Holder("team", "admin")], "r", "no team admin"),
        ([Holder("role", "sales")], "r", "no role sales"),
        ([Holder("team", "sales", "mars")], "r", "no environment mars"),
        ([SALES] + [Holder("team", f"t{n}") for n in range(2_000)], "r", "At most"),
    ],
)
def test_what_cannot_be_granted_changes_nothing(
    holders: Sequence[Holder], reason: str, says: str
) -> None:
    make_team("sales")
    server = make_server()
    before = Event.objects.count()
    with pytest.raises(Invalid, match=says):
        give(server, *holders, reason=reason)
    assert Event.objects.count() == before
    assert GroupObjectPermission.objects.count() == 0


@pytest.mark.django_db
def test_grants_are_read_for_the_holders_asked_for() -> None:
    team, server = make_team("sales"), make_server()
    make_environment("prod")
    tool = make_tool(server)
    make_grant(team, tool)
    make_grant(team, tool, environment="prod")
    here, there = SALES, Holder("team", "sales", "prod")
    assert granted_to([here]) == {"call_tool": {str(tool.pk): [here]}}
    assert granted_to([here, there]) == {"call_tool": {str(tool.pk): [here, there]}}
    assert granted_to([Holder("role", "member")]) == {}


@pytest.fixture
def committed(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Server]:
    """A team ``race`` and a server that two connections see, removed by hand."""
    with django_db_blocker.unblock():
        group = Group.objects.create(name="team:race")
        team = Team.objects.create(
            slug="race", name="Race", cost_centre="C", group=group, created_at=AT
        )
        yield (server := make_server(name="race"))
        server.delete()
        team.delete()
        group.delete()


def test_two_who_change_grants_wait_for_each_other(committed: Server) -> None:
    blocked: list[str] = []

    def meanwhile() -> None:
        try:
            with transaction.atomic():
                connection.cursor().execute("SET LOCAL lock_timeout = '200ms'")
                give(committed, Holder("team", "race"))
        except OperationalError as error:
            blocked.append(str(error))
        finally:
            connection.close()

    with transaction.atomic():
        assert give(committed, Holder("team", "race")) == 1
        thread = Thread(target=meanwhile)
        thread.start()
        thread.join()
        transaction.set_rollback(True)
    assert len(blocked) == 1
    assert "lock timeout" in blocked[0]
