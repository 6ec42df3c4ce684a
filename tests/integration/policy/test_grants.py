"""Grants: given and taken on record, read back by name."""

import pytest

from audit.actor import Target
from audit.models import Event
from core.models import Revision, revisions
from policy.selectors import grants_of
from policy.services import grants
from tests.builders.catalog import make_server, make_tool
from tests.builders.identity import ACTOR, AT, make_team

pytestmark = pytest.mark.django_db


def test_a_grant_is_seen_by_its_team_alone_until_it_is_taken() -> None:
    sales, support = make_team("sales"), make_team("support")
    server = make_server(name="crm")
    tool = make_tool(make_server(name="mail"), name="send")
    for permission, obj in (
        ("gateway.call_server", server),
        ("gateway.call_tool", tool),
    ):
        grants.grant(
            team=sales,
            permission=permission,
            obj=obj,
            target=Target("server", obj.name, obj.name),
            actor=ACTOR,
            at=AT,
        )
    assert [grant.label for grant in grants_of(sales)] == ["crm.*", "mail.send"]
    assert grants_of(support) == []

    before = revisions()[Revision.POLICY]
    grants.revoke(
        team=sales,
        permission="gateway.call_server",
        obj=server,
        target=Target("server", "crm", "crm"),
        actor=ACTOR,
        at=AT,
    )
    assert [grant.label for grant in grants_of(sales)] == ["mail.send"]
    assert revisions()[Revision.POLICY] == before + 1
    event = Event.objects.newest_first()[0]
    assert event.summary == "Set-up took crm from team sales"


def test_granted_ids_are_of_the_team_and_the_kind_asked_for() -> None:
    team, server = make_team("sales"), make_server()
    tool = make_tool(server)
    grants.grant(
        team=team,
        permission="gateway.call_tool",
        obj=tool,
        target=Target("tool", "t", "t"),
        actor=ACTOR,
        at=AT,
    )
    assert grants.granted_ids(team.pk, "gateway", "tool", "call_tool") == {tool.pk}
    assert not grants.granted_ids(team.pk, "gateway", "server", "call_server")
