"""The access review: grants with their giver, their last use and their review."""

from datetime import timedelta
from typing import Any

from django.urls import reverse

from audit.models import Event
from core.clock import now
from gateway.models import Tag, ToolUse
from gateway.services import access
from gateway.services.tool_uses import note_uses
from policy.holders import Holder
from policy.models import GrantRecord
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import Cast, actor_of
from tests.builders.runs import make_call, make_run, make_task
from tests.integration.gateway.pages.conftest import Browse
from tests.integration.gateway.pages.reporting import figure, path, rows


def use(
    team: str, environment: str, tool: str, *, days: float = 0, **more: Any
) -> None:
    run = make_run(team=team, environment=environment, **more)
    make_call(run, tool=tool, intent_at=now() - timedelta(days=days))


def test_each_grant_has_its_giver_its_reason_and_its_last_use(
    cast: Cast, browse: Browse
) -> None:
    crm = make_server(name="crm")
    orders = make_tool(crm, name="list_orders", tags=["orders"])
    make_tool(crm, name="refund")
    make_grant(cast.team, crm, environment="prod")
    make_grant(cast.team, orders, at=now())
    make_grant(cast.team, Tag(name="orders"))
    make_grant(cast.other_team, crm)
    access.give(
        subjects=[crm],
        holders=[Holder("role", "admin")],
        reason="on call",
        actor=actor_of(cast.admin),
        at=now(),
    )
    use("sales", "dev", "crm.list_orders", days=100)
    use("sales", "prod", "crm.refund")
    person = make_task(principal="user:erin", team="sales")
    use("sales", "dev", "crm.refund", days=3, task=person)
    note_uses(at=now())
    client = browse(cast.auditor)
    found = {(one["holder"], one["subject"]): one for one in rows(client, "access")}
    assert {key: one["use"] for key, one in found.items()} == {
        ("role admin", "server:crm"): "Used since",
        ("team sales", "server:crm"): "Used since",
        ("team sales", "tool:crm.list_orders"): "Unused for 90 days",
        ("team sales", "tag:orders"): "Unused for 90 days",
        ("team support", "server:crm"): "Never used",
    }
    role = found["role admin", "server:crm"]
    assert (role["given_by"], role["reason"]) == ("Erin Example", "on call")
    assert role["environment"] == "every environment"
    assert found["team sales", "server:crm"]["environment"] == "prod"
    assert figure(client, "access", "Grants") == "5"
    assert figure(client, "access", "Never used") == "1"
    assert figure(client, "access", "Unused for 90 days") == "2"
    never = rows(client, "access", "?use=never")
    assert [one["holder"] for one in never] == ["team support"]
    assert len(rows(client, "access", "?team=sales&environment=prod")) == 3
    assert len(rows(client, "access", "?team=sales&environment=dev")) == 2
    assert len(rows(client, "access", "?role=admin")) == 1
    assert len(rows(client, "access", "?subject=tag:")) == 1


def test_uses_are_read_once_and_the_newest_again(cast: Cast) -> None:
    use("sales", "dev", "crm.old", days=1)
    use("sales", "dev", "crm.new")
    assert note_uses(at=now()) == 2
    assert note_uses(at=now()) == 1
    use("sales", "dev", "crm.old")
    run = make_run(team="sales")
    make_call(run, tool="crm.no", decision="deny", outcome="denied", intent_at=now())
    note_uses(at=now())
    found = dict(ToolUse.objects.values_list("tool", "last_at"))
    assert set(found) == {"crm.old", "crm.new"}
    assert now() - found["crm.old"] < timedelta(minutes=1)


def test_a_grant_that_was_reviewed_says_so_and_is_on_record(
    cast: Cast, browse: Browse
) -> None:
    crm = make_server(name="crm")
    make_grant(cast.team, crm)
    make_grant(cast.other_team, crm)
    grant = GrantRecord.objects.get(grant__group__name="team:sales").grant_id
    client = browse(cast.auditor)
    url = reverse("access_review") + "?use=never"
    response = client.post(url, {"row": [str(grant)], "reason": "asked the team"})
    assert response.headers["Location"] == path("access", "?use=never")
    event = Event.objects.get(name="grant.reviewed")
    assert (event.actor_id, event.target_kind, event.target_id) == (
        "user:carol",
        "server",
        "crm",
    )
    assert "team sales: asked the team" in event.summary
    done = rows(client, "access", "?review=done")
    assert [
        (one["holder"], one["reviewed_by"], one["review_reason"]) for one in done
    ] == [("team sales", "Carol Example", "asked the team")]
    assert done[0]["given_by"] == "Set-up"
    due = rows(client, "access", "?review=due")
    assert [one["holder"] for one in due] == ["team support"]
    assert figure(client, "access", "To be reviewed") == "1"
    for body in ({"row": [str(grant)]}, {"reason": "r"}, {"row": ["0"], "reason": "r"}):
        assert client.post(url, body).status_code == 422
    assert Event.objects.filter(name="grant.reviewed").count() == 1


def test_a_grant_that_is_taken_and_given_again_is_a_new_one(
    cast: Cast, browse: Browse
) -> None:
    crm = make_server(name="crm")
    make_grant(cast.team, crm)
    client = browse(cast.auditor)
    (first,) = GrantRecord.objects.values_list("grant", flat=True)
    client.post(reverse("access_review"), {"row": [str(first)], "reason": "r"})
    access.take(
        subjects=[crm],
        holders=[Holder("team", "sales")],
        reason="r",
        actor=actor_of(cast.admin),
        at=now(),
    )
    assert rows(client, "access") == []
    assert not GrantRecord.objects.exists()
    make_grant(cast.team, crm)
    assert [one["reviewed_at"] for one in rows(client, "access")] == [None]
