"""Pages of tools: list, one tool, review of one and of many."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from core.clock import now
from gateway.models import Tag, Tool
from tests.builders.catalog import make_grant, make_server, make_tool, make_version
from tests.builders.identity import Cast, make_environment
from tests.builders.runs import make_call, make_run
from tests.integration.gateway.pages.conftest import Browse, queries_of


def page(client: Client, query: str = "") -> str:
    response = client.get(reverse("tools") + query)
    assert response.status_code == 200
    return response.content.decode()


def detail(client: Client, name: str = "list_orders") -> str:
    response = client.get(reverse("tool", args=["crm", name]))
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?q=orders+crm", {"crm.list_orders"}),
        ("?q=Sales", {"crm.list_orders"}),
        ("?server=shop", {"shop.refund"}),
        ("?effect=write", {"shop.refund"}),
        ("?confirmed=no", {"shop.refund"}),
        ("?environment=prod", {"crm.list_orders"}),
        ("?tag=sales", {"crm.list_orders"}),
        ("?offered=no", {"crm.gone"}),
        ("?offered=all&server=crm", {"crm.list_orders", "crm.gone"}),
        ("", {"crm.list_orders", "shop.refund"}),
    ],
)
def test_each_filter_finds_its_tools(
    cast: Cast, browse: Browse, query: str, shown: set[str]
) -> None:
    crm, shop = make_server(), make_server(name="shop")
    make_tool(crm, environments=[make_environment("prod")], tags=["sales"])
    make_tool(crm, name="gone", description="Was here.")
    make_tool(shop, name="refund", confirmed_by="", description="Pay money back.")
    Tool.objects.filter(name="gone").update(removed_at=now())
    html = page(browse(cast.member), query)
    found = {
        name
        for name in ("crm.list_orders", "crm.gone", "shop.refund")
        if f">{name}</a>" in html
    }
    assert found == shown


def test_the_list_shows_use_of_the_persons_teams_only(
    cast: Cast, browse: Browse
) -> None:
    make_tool(make_server())
    at = now() - timedelta(hours=1)
    make_call(make_run(team="sales", at=at), outcome="tool_error")
    make_call(make_run(team="sales", at=at))
    make_call(make_run(team="support", at=at))
    figure = '<td class="tg-number">{}</td><td class="tg-number">{}</td>'
    assert figure.format(2, "50.0 %") in page(browse(cast.member))
    assert figure.format(3, "33.3 %") in page(browse(cast.auditor))
    assert figure.format(1, "0.0 %") in page(browse(cast.outsider))


def test_one_tool_shows_signature_schemas_and_what_changed(
    cast: Cast, browse: Browse
) -> None:
    tool = make_tool(make_server(), description="Orders <b>of</b> a day.")
    make_version(tool, description="Orders of a week.")
    html = detail(browse(cast.member))
    assert "list_orders" in html
    assert "First day." in html
    assert '<span class="tg-diff-removed">-  &quot;description&quot;' in html
    assert "Orders &lt;b&gt;of&lt;/b&gt; a day." in html
    assert "<b>of</b>" not in html


def test_one_tool_shows_callers_percentiles_and_cost(
    cast: Cast, browse: Browse
) -> None:
    make_tool(make_server())
    run = make_run(team="sales", at=now() - timedelta(hours=1))
    for seconds in (0.1, 0.2, 0.3):
        make_call(run, seconds=seconds)
    html = detail(browse(cast.member))
    assert "<dd>200 ms</dd>" in html
    assert "<dd>290 ms</dd>" in html
    assert "sa:sales/agent" in html
    assert "sa:sales/agent" not in detail(browse(cast.outsider))


def test_an_effect_is_a_proposal_until_a_person_confirms_it(
    cast: Cast, browse: Browse
) -> None:
    tool = make_tool(make_server(), confirmed_by="")
    admin = browse(cast.admin)
    assert "every call counts as a <strong>write</strong>" in detail(admin)
    response = admin.post(
        reverse("tool_effect", args=["crm", "list_orders"]), {"effect": "read"}
    )
    tool.refresh_from_db()
    assert response.status_code == 302
    assert (tool.effect, tool.effect_confirmed_by) == ("read", "Erin Example")
    assert "Erin Example confirmed <strong>read</strong>" in detail(admin)


def test_environments_tags_and_the_classic_path_are_set(
    cast: Cast, browse: Browse
) -> None:
    tool = make_tool(make_server())
    admin = browse(cast.admin)
    names = ["crm", "list_orders"]
    admin.post(
        reverse("tool_environments", args=names), {"environment": ["dev", "prod"]}
    )
    admin.post(reverse("tool_tags", args=names), {"tags": "Orders, billing"})
    admin.post(reverse("tool_direct", args=names), {"ways": ["direct"]})
    tool.refresh_from_db()
    assert sorted(place.slug for place in tool.environments.all()) == ["dev", "prod"]
    assert tool.tags == ["billing", "orders"]
    assert (tool.direct, tool.scripted) == (True, False)
    assert Event.objects.filter(name="tool.reviewed").count() == 3


def test_many_tools_are_reviewed_at_once_and_keep_their_other_environments(
    cast: Cast, browse: Browse
) -> None:
    crm = make_server()
    first = make_tool(crm, confirmed_by="", environments=[make_environment("prod")])
    second = make_tool(crm, name="set_tier", effect="write", confirmed_by="")
    third = make_tool(crm, name="other", confirmed_by="")
    admin = browse(cast.admin)
    chosen = {"tool": [str(first.pk), str(second.pk)], "next": "/catalog/tools/?q=x"}
    url = reverse("tools_review")
    response = admin.post(url, chosen | {"act": "confirm"})
    assert response["Location"] == "/catalog/tools/?q=x"
    admin.post(url, chosen | {"act": "enable", "environment": "dev"})
    for tool in (first, second, third):
        tool.refresh_from_db()
    assert [first.effect, second.effect] == ["read", "write"]
    assert third.effect_confirmed_by == ""
    assert {place.slug for place in first.environments.all()} == {"dev", "prod"}
    assert {place.slug for place in second.environments.all()} == {"dev"}
    admin.post(url, chosen | {"act": "disable", "environment": "prod"})
    assert {place.slug for place in first.environments.all()} == {"dev"}


@pytest.mark.parametrize(
    "data",
    [
        {"act": "confirm"},
        {"act": "destroy", "tool": ["1"]},
        {"act": "enable", "environment": "nowhere", "tool": ["real"]},
    ],
)
def test_a_senseless_review_changes_nothing(
    cast: Cast, browse: Browse, data: dict[str, object]
) -> None:
    tool = make_tool(make_server(), confirmed_by="")
    if data.get("tool") == ["real"]:
        data = data | {"tool": [str(tool.pk)]}
    response = browse(cast.admin).post(reverse("tools_review"), data)
    tool.refresh_from_db()
    assert response.status_code == 422
    assert tool.effect_confirmed_by == ""
    assert tool.environments.count() == 0


def test_the_way_back_never_leads_to_another_site(cast: Cast, browse: Browse) -> None:
    tool = make_tool(make_server(), confirmed_by="")
    form = {"act": "confirm", "tool": str(tool.pk)}
    for elsewhere in ("https://evil.example/catalog/", "//evil.example/catalog/"):
        response = browse(cast.admin).post(
            reverse("tools_review"), form | {"next": elsewhere}
        )
        assert response["Location"] == "/catalog/tools/"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tool_effect", {"effect": "read"}),
        ("tool_environments", {"environment": "dev"}),
        ("tool_tags", {"tags": "mine"}),
        ("tool_direct", {"ways": "direct"}),
    ],
)
def test_only_administrators_review(
    cast: Cast, browse: Browse, name: str, data: dict[str, str]
) -> None:
    tool = make_tool(make_server(), confirmed_by="")
    for user in (cast.member, cast.auditor, cast.finance, cast.outsider):
        url = reverse(name, args=["crm", "list_orders"])
        assert browse(user).post(url, data).status_code == 403
    tool.refresh_from_db()
    assert (tool.effect, tool.tags, tool.direct) == ("write", [], False)
    assert tool.environments.count() == 0


def test_a_tool_says_through_what_a_team_may_call_it(
    cast: Cast, browse: Browse
) -> None:
    server = make_server()
    tool = make_tool(server, tags=["billing"])
    make_grant(cast.team, server)
    make_grant(cast.team, Tag(name="billing"), environment="dev")
    make_grant(cast.other_team, tool, environment="prod")
    html = detail(browse(cast.admin))
    assert 'through server <a href="/catalog/servers/crm/#grants">crm</a>' in html
    assert 'through tag <a href="/catalog/tools/?tag=billing">billing</a>' in html
    assert "Take back from Support in prod" in html
    assert "Take back from Sales" not in html
    assert "Take the grant" not in detail(browse(cast.member))


def test_thirty_tools_cost_as_many_queries_as_three(cast: Cast, browse: Browse) -> None:
    client, crm = browse(cast.admin), make_server()
    dev = make_environment("dev")
    at = now() - timedelta(hours=1)
    run = make_run(team="sales", at=at, cost=Decimal(1))
    for number in range(3):
        make_tool(crm, name=f"t{number}", environments=[dev])
    few = [queries_of(client, reverse("tools")), queries_of(client, crm_page())]
    for number in range(3, 30):
        make_tool(crm, name=f"t{number}", environments=[dev], tags=["many"])
        make_call(run, tool=f"crm.t{number}")
    assert [queries_of(client, reverse("tools")), queries_of(client, crm_page())] == few


def crm_page() -> str:
    return reverse("server", args=["crm"])


def _post(client: Client, address: str, /, **data: str) -> int:
    url = reverse(address, args=["crm", "list_orders"])
    return client.post(url, data).status_code


def test_calls_of_a_tool_can_be_made_to_need_an_approval(
    cast: Cast, browse: Browse
) -> None:
    tool = make_tool(make_server())
    client = browse(cast.admin)
    assert _post(client, "tool_approval", needed="yes") == 302
    tool.refresh_from_db()
    assert tool.needs_approval
    assert ">approval</span>" in page(browse(cast.member))
    event = Event.objects.get(name="tool.reviewed")
    assert (event.actor_id, event.target_id) == ("user:erin", "crm.list_orders")
    assert _post(client, "tool_approval", needed="no") == 302
    tool.refresh_from_db()
    assert not tool.needs_approval
    assert ">approval</span>" not in page(browse(cast.member))


def test_how_a_tool_takes_its_key_can_be_set(cast: Cast, browse: Browse) -> None:
    crm = make_server()
    tool = make_tool(crm, effect="write")
    make_tool(crm, name="find", effect="read")
    client = browse(cast.admin)
    data = {"how": "argument", "name": "request_id", "lookup": "find"}
    assert _post(client, "tool_idempotency", **data) == 302
    tool.refresh_from_db()
    assert (tool.idempotency, tool.idempotency_name) == ("argument", "request_id")
    assert tool.lookup == "find"
    assert Event.objects.get(name="tool.reviewed").actor_id == "user:erin"
    assert ">key</span>" in page(browse(cast.member))
    html = detail(client)
    assert '<option value="find"></option>' in html
    assert "request_id" in html


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"how": "argument"}, "Name the argument"),
        ({"how": "prayer"}, "Select a valid choice"),
        ({"how": "header", "name": "X-Key\r\nHost: evil"}, "no name of an HTTP header"),
        ({"how": "meta", "lookup": "list_orders"}, "no other tool"),
        ({"how": "none", "lookup": "find"}, "looked up by its key"),
        ({"how": "meta", "lookup": "refund"}, "that only reads"),
        ({"how": "meta", "lookup": "gone"}, "that only reads"),
    ],
)
def test_a_key_that_cannot_work_is_a_422(
    cast: Cast, browse: Browse, data: dict[str, str], says: str
) -> None:
    crm = make_server()
    tool = make_tool(crm)
    make_tool(crm, name="refund", effect="write")
    make_tool(crm, name="gone")
    Tool.objects.filter(name="gone").update(removed_at=now())
    url = reverse("tool_idempotency", args=["crm", "list_orders"])
    response = browse(cast.admin).post(url, data)
    assert response.status_code == 422
    assert says in response.content.decode()
    tool.refresh_from_db()
    assert (tool.idempotency, tool.lookup) == ("none", "")


def test_a_command_gets_no_http_headers(cast: Cast, browse: Browse) -> None:
    make_tool(make_server(transport="stdio", command=["crm"]))
    client = browse(cast.admin)
    assert _post(client, "tool_idempotency", how="header", name="Key") == 422
