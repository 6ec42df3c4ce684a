"""The access matrix: what it shows, how it is changed, and who may."""

import csv
import io
import json
import time

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from guardian.models import GroupObjectPermission

from audit.models import Event
from gateway.catalog import forget
from gateway.models import Server, Tag, Tool
from gateway.services import access
from policy.holders import Holder
from policy.models import Environment, Team
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import ACTOR, AT, Cast, make_account, make_key
from tests.integration.gateway.pages.conftest import Browse, queries_of

MATRIX = "/policy/access/"
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _fresh_catalog() -> None:
    forget()


@pytest.fixture
def crm(cast: Cast) -> Server:
    """Two tools of a server, one of them tagged, offered everywhere."""
    server = make_server()
    places = list(Environment.objects.all())
    make_tool(server, environments=places, tags=["billing"])
    make_tool(server, name="refund", effect="write", environments=places[:1])
    return server


def body(client: Client, path: str = MATRIX) -> str:
    response = client.get(path)
    assert response.status_code == 200, response.content.decode()[:500]
    return response.content.decode()


def rows(client: Client, path: str) -> list[dict[str, str]]:
    text = b"".join(client.get(path).streaming_content).decode()  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def test_each_cell_says_whether_and_through_what(
    cast: Cast, crm: Server, browse: Browse
) -> None:
    make_grant(cast.team, crm, environment="prod")
    make_grant(cast.other_team, Tag(name="billing"))
    admin = browse(cast.admin)
    html = body(admin)
    assert 'aria-label="Sales, crm: not granted; grant"' in html
    assert '<span class="tg-part">prod</span>' in html
    assert 'aria-label="Support, billing: granted; take back"' in html
    tools = body(admin, f"{MATRIX}?server=crm")
    assert "Support, crm.list_orders: through tag billing; grant" in tools
    assert "Support, crm.refund: not granted; grant" in tools
    assert "prod by server crm" in tools
    prod = body(admin, f"{MATRIX}?server=crm&environment=prod")
    assert "Sales, crm.refund: through server crm in prod; grant" in prod
    assert "Sales, crm: granted; take back" in prod
    dev = body(admin, f"{MATRIX}?environment=dev")
    assert "Support, billing: through every environment; grant here as well" in dev


def test_a_servers_column_counts_tools_granted_one_by_one(
    cast: Cast, crm: Server, browse: Browse
) -> None:
    make_grant(cast.team, Tool.objects.get(name="refund"))
    make_grant(cast.team, Tool.objects.get(name="list_orders"), environment="dev")
    admin = browse(cast.admin)
    assert body(admin).count('<span class="tg-part">1 tool</span>') == 1
    assert '<span class="tg-part">2 tools</span>' in body(
        admin, f"{MATRIX}?environment=dev"
    )


@pytest.mark.parametrize("htmx", [False, True])
def test_a_cell_is_changed_in_place_with_a_reason(
    cast: Cast, crm: Server, browse: Browse, htmx: bool
) -> None:
    admin, path = browse(cast.admin), f"{MATRIX}?environment=prod"
    headers = HTMX if htmx else {}
    form = {"cell": "give|team:sales|tool:crm.refund"}
    refused = admin.post(path, form, headers=headers)
    assert (refused.status_code, GroupObjectPermission.objects.count()) == (422, 0)
    assert b"Say why" in refused.content
    given = admin.post(path, form | {"reason": "ticket 7"}, headers=headers)
    assert given.status_code == (200 if htmx else 302)
    if htmx:
        assert b"<html" not in given.content
        assert b'value="ticket 7"' in given.content
    group = GroupObjectPermission.objects.get().group
    assert group.name == "team:sales@prod"
    event = Event.objects.get(name="grant.given")
    assert event.actor_id == "user:erin"
    assert json.loads(event.body)["payload"] == {
        "holder": "team sales in prod",
        "team": "sales",
        "in_environment": "prod",
        "reason": "ticket 7",
    }
    take = {"cell": "take|team:sales|tool:crm.refund", "reason": "done"}
    admin.post(path, take, headers=headers)
    assert GroupObjectPermission.objects.count() == 0
    assert Event.objects.filter(name="grant.taken").count() == 1


def test_many_are_ticked_and_changed_at_once(
    cast: Cast, crm: Server, browse: Browse
) -> None:
    form = {
        "act": "give",
        "row": ["team:sales", "team:support", "role:approver"],
        "column": ["server:crm", "tag:billing"],
        "reason": "roll-out",
    }
    page = browse(cast.admin).post(MATRIX, form, follow=True).content.decode()
    assert "6 grants given." in page
    assert Event.objects.filter(name="grant.given").count() == 6
    again = browse(cast.admin).post(MATRIX, form, follow=True).content.decode()
    assert "Nothing changed" in again


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"act": "give", "row": [], "column": ["server:crm"]}, "Choose at least"),
        ({"act": "give", "row": ["team:sales"]}, "Choose at least"),
        ({"act": "steal", "row": ["team:sales"]}, "Choose whether"),
        ({"cell": "give|nobody|server:crm"}, "no team or role"),
        ({"cell": "give|team:sales@dev|server:crm"}, "no team or role"),
        ({"cell": "give|team:ghost|server:crm"}, "There is no team ghost"),
        ({"cell": "give|team:sales|server:gone"}, "There is no server gone"),
        ({"cell": "give|team:sales|tag:unused"}, "There is no tag:unused"),
        ({"cell": "give|team:sales|tool:crm.no"}, "There is no tool crm.no"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    cast: Cast, crm: Server, browse: Browse, form: dict[str, object], says: str
) -> None:
    response = browse(cast.admin).post(MATRIX, {"reason": "r"} | form)
    assert response.status_code in (404, 422)
    assert says in response.content.decode()
    assert GroupObjectPermission.objects.count() == 0
    assert not Event.objects.filter(name__startswith="grant.").exists()


def test_who_may_read_sees_own_teams_and_changes_nothing(
    cast: Cast, crm: Server, browse: Browse
) -> None:
    member = browse(cast.member)
    html = body(member)
    assert "Sales" in html
    assert "Support" not in html
    assert "<button name=" not in html
    form = {"cell": "give|team:sales|server:crm", "reason": "mine"}
    assert member.post(MATRIX, form).status_code == 403
    assert GroupObjectPermission.objects.count() == 0
    assert Event.objects.filter(name="access.denied").count() == 1
    assert "Support" in body(browse(cast.auditor))
    assert browse(cast.finance).get(MATRIX).status_code == 403


def test_rows_and_columns_are_filtered(cast: Cast, crm: Server, browse: Browse) -> None:
    make_tool(make_server(name="shop"), name="list_items")
    admin = browse(cast.admin)
    assert "Support" not in body(admin, f"{MATRIX}?team=sal")
    assert "Approvers" in body(admin, f"{MATRIX}?team=approv")
    html = body(admin, f"{MATRIX}?tool=list")
    assert "tool:crm.list_orders" in html
    assert "tool:shop.list_items" in html
    assert "crm.refund" not in html
    assert "Nothing matches" in body(admin, f"{MATRIX}?tool=zebra")
    assert admin.get(f"{MATRIX}?environment=mars").status_code == 404
    assert admin.get(f"{MATRIX}?server=mars").status_code == 404


def test_what_is_shown_can_be_taken_along(
    cast: Cast, crm: Server, browse: Browse
) -> None:
    make_grant(cast.team, crm)
    admin = browse(cast.admin)
    found = rows(admin, f"{MATRIX}?export=csv&server=crm&team=sales")
    assert [(one["subject"], one["granted"], one["through"]) for one in found] == [
        ("tool:crm.list_orders", "False", "server crm"),
        ("tool:crm.refund", "False", "server crm"),
    ]
    raw = b"".join(admin.get(f"{MATRIX}?export=json").streaming_content)  # type: ignore[attr-defined]
    parsed = [json.loads(line) for line in raw.splitlines()]
    first = {name: parsed[0][name] for name in ("holder", "subject", "granted")}
    assert first == {"holder": "team:sales", "subject": "server:crm", "granted": True}
    assert Event.objects.filter(target_id="access").count() == 2


def test_what_they_can_call_of_a_team_a_role_and_a_key(
    cast: Cast, crm: Server, browse: Browse
) -> None:
    make_grant(cast.team, Tag(name="billing"), environment="dev")
    access.give(
        subjects=[crm],
        holders=[Holder("role", "approver")],
        reason="r",
        actor=ACTOR,
        at=AT,
    )
    key = make_key(make_account(cast.team), scopes=["tools:shop.*"]).key
    admin, url = browse(cast.admin), f"{MATRIX}reach/"
    team = body(admin, f"{url}?holder=team:sales")
    assert "1 of the 2 tools offered in dev" in team
    assert "tag billing, in dev" in team
    assert "Nothing can be called" in body(
        admin, f"{url}?holder=team:sales&environment=prod"
    )
    role = body(admin, f"{url}?holder=role:approver&environment=dev")
    assert "server crm as approver, in every environment" in role
    assert "crm.refund" in role
    assert "no scope covers it" in body(admin, f"{url}?key={key.pk}")
    (line,) = rows(admin, f"{url}?key={key.pk}&export=csv")
    assert (line["tool"], line["in_scope"]) == ("crm.list_orders", "False")
    outsider = browse(cast.outsider)
    for wanted in ("holder=team:sales", f"key={key.pk}", "key=9" * 30, "holder=x"):
        assert outsider.get(f"{url}?{wanted}").status_code == 404
    assert admin.get(f"{url}?holder=role:king").status_code == 404


def test_who_can_call_this(cast: Cast, crm: Server, browse: Browse) -> None:
    make_grant(cast.team, crm, environment="dev")
    make_grant(cast.other_team, Tool.objects.get(name="refund"))
    access.give(
        subjects=[Tool.objects.get(name="refund")],
        holders=[Holder("role", "approver")],
        reason="r",
        actor=ACTOR,
        at=AT,
    )
    make_key(make_account(cast.team), name="able")
    make_key(make_account(cast.team), name="narrow", scopes=["tools:shop.*"])
    make_key(make_account(cast.team), name="elsewhere", environment="prod")
    make_key(make_account(cast.other_team), name="theirs")
    admin, url = browse(cast.admin), f"{MATRIX}callers/crm/refund/"
    html = body(admin, f"{url}?environment=dev")
    assert "server crm" in html
    assert ">able</a>" in html
    assert ">theirs</a>" in html
    assert ">narrow</a>" not in html
    assert ">elsewhere</a>" not in html
    assert "1 more key of these teams" in html
    assert "Bob Example" in html
    assert "not offered in prod" in body(admin, f"{url}?environment=prod")
    member = body(browse(cast.member), f"{url}?environment=dev")
    assert ">theirs</a>" not in member
    kinds = {(one["kind"], one["caller"]) for one in rows(admin, f"{url}?export=csv")}
    assert ("person", "bob") in kinds
    assert ("team grant", "Support") in kinds
    assert f"{MATRIX}callers/crm/refund/" in body(admin, "/catalog/tools/crm/refund/")
    assert "holder=team:sales" in body(admin, "/settings/teams/sales/")
    assert "What can it call?" in body(admin, "/settings/keys/")


def fill(servers: int, tools: int, teams: int, *, start: int = 0) -> None:
    """So many servers with so many tools each, an eighth of them granted one by one."""
    groups = Group.objects.bulk_create(
        Group(name=f"team:big{start + n}") for n in range(teams)
    )
    Team.objects.bulk_create(
        Team(
            slug=f"big{start + n}",
            name=f"Big {start + n}",
            cost_centre="C",
            group=group,
            created_at=AT,
        )
        for n, group in enumerate(groups)
    )
    call = Permission.objects.get(codename="call_tool")
    for number in range(servers):
        server = make_server(name=f"big{start + number}")
        made = Tool.objects.bulk_create(
            Tool(
                server=server,
                name=f"tool_{n}",
                original=f"tool_{n}",
                tags=[f"tag{n % 20}"],
                effect="read",
                effect_proposed="read",
            )
            for n in range(tools)
        )
        GroupObjectPermission.objects.bulk_create(
            GroupObjectPermission(
                permission=call,
                content_type=call.content_type,
                object_pk=str(tool.pk),
                group=group,
            )
            for tool in made[::8]
            for group in groups
        )


SHOWN = (
    MATRIX,
    f"{MATRIX}?environment=dev",
    f"{MATRIX}?tool=tool",
    f"{MATRIX}?server=big0&environment=dev",
    f"{MATRIX}reach/?holder=team:big0",
)


def test_five_thousand_tools_and_fifty_teams_cost_as_many_queries_as_few(
    cast: Cast, browse: Browse
) -> None:
    admin = browse(cast.admin)
    fill(2, 3, 3)
    few = [queries_of(admin, path) for path in SHOWN]
    fill(48, 104, 47, start=10)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does soon after so many rows
    started = time.perf_counter()
    assert [queries_of(admin, path) for path in SHOWN] == few
    # Each page twice; so slow only where something grows with the catalog.
    assert time.perf_counter() - started < 25
    assert max(few) <= 16
    html = body(admin)
    assert html.count("<tr>") == 1 + 50 + 2 + 5
    assert len(html) < 400_000
