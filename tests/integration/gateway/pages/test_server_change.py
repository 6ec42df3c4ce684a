"""Changing how a server is reached, and the page of a server with many tools."""

import json

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from audit.services.record import record
from gateway import events
from gateway.models import Server, Tool, ToolVersion
from gateway.services.catalog import tool_target
from policy.models import Environment
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import ACTOR, Cast
from tests.integration.gateway.pages.conftest import Browse, queries_of

SECRETS = {"Authorization": "Bearer very-secret-token"}
KEPT = {
    "url": "http://127.0.0.1:9901/other",
    "description": "Orders",
    "timeout_seconds": "5",
}
CHANGE = "/catalog/servers/crm/change/"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of tasks handed to the broker, which these tests leave out."""
    found: list[str] = []
    monkeypatch.setattr(
        "gateway.services.catalog.enqueue", lambda name, queue, **_: found.append(name)
    )
    return found


@pytest.fixture
def server(cast: Cast) -> Server:
    """A server with a sealed header."""
    made = make_server()
    made.set_secret_values(SECRETS)
    made.save()
    return made


@pytest.fixture
def admin(cast: Cast, browse: Browse) -> Client:
    return browse(cast.admin)


def test_the_form_shows_what_is_stored_but_no_secret(
    admin: Client, server: Server
) -> None:
    html = admin.get(CHANGE).content.decode()
    assert 'value="http://127.0.0.1:9901/mcp"' in html
    assert 'value="30"' in html
    assert "keep what is stored" in html
    assert "very-secret-token" not in html
    assert 'name="command"' not in html


def test_a_change_keeps_the_secrets_is_on_record_and_syncs(
    admin: Client, server: Server, sent: list[str]
) -> None:
    response = admin.post(CHANGE, KEPT)
    assert response["Location"].startswith("/catalog/servers/crm/?syncing=")
    changed = Server.objects.get(name="crm")
    assert (changed.url, changed.timeout_seconds) == (KEPT["url"], 5)
    assert (changed.description, changed.revision) == ("Orders", server.revision + 1)
    assert changed.secret_values() == SECRETS
    assert sent == ["gateway.sync_server"]
    body = json.loads(Event.objects.get(name="server.changed").body)
    assert body["before"]["url"] == "http://127.0.0.1:9901/mcp"
    assert body["after"]["url"] == KEPT["url"]
    assert body["after"]["timeout_seconds"] == "5.0"
    assert body["payload"]["secrets_replaced"] is False


def test_new_headers_replace_the_stored_ones(
    admin: Client, server: Server, sent: list[str]
) -> None:
    admin.post(CHANGE, KEPT | {"headers": "X-Api-Key: other-secret"})
    assert Server.objects.get().secret_values() == {"X-Api-Key": "other-secret"}
    event = Event.objects.get(name="server.changed")
    assert json.loads(event.body)["payload"]["sealed"] == ["X-Api-Key"]
    assert "other-secret" not in event.body


def test_the_box_removes_them(admin: Client, server: Server, sent: list[str]) -> None:
    admin.post(CHANGE, KEPT | {"forget_secrets": "on"})
    assert Server.objects.get().secrets is None


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"url": "http://evil.example/mcp"}, "given for another host"),
        ({"url": "http://127.0.0.1:9902/mcp"}, "given for another host"),
        ({"url": ""}, "Enter the URL"),
        ({"url": "ftp://127.0.0.1:9901/x"}, "starts with http://"),
        ({"headers": "nonsense"}, "Line 1 is not of the form"),
        ({"headers": "A: b", "forget_secrets": "on"}, "not both"),
        ({"timeout_seconds": "0"}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_used_changes_nothing(
    admin: Client,
    server: Server,
    sent: list[str],
    change: dict[str, str],
    advice: str,
) -> None:
    response = admin.post(CHANGE, KEPT | change)
    assert response.status_code == 422
    assert advice in response.content.decode()
    same = Server.objects.get()
    assert (same.url, same.revision) == (server.url, server.revision)
    assert same.secret_values() == SECRETS
    assert sent == []
    assert not Event.objects.filter(name="server.changed").exists()


def test_headers_entered_anew_may_go_to_a_new_host(
    admin: Client, server: Server, sent: list[str]
) -> None:
    moved = {"url": "http://new.example/mcp", "headers": "A: b"}
    assert admin.post(CHANGE, KEPT | moved).status_code == 302
    assert Server.objects.get().secret_values() == {"A": "b"}


def test_a_command_is_shown_quoted_and_changed(
    admin: Client, sent: list[str], cast: Cast
) -> None:
    make_server(name="shop", transport="stdio", command=["serve", "two words"])
    path = "/catalog/servers/shop/change/"
    html = admin.get(path).content.decode()
    assert "serve &#x27;two words&#x27;" in html
    assert 'name="url"' not in html
    assert 'name="forget_secrets"' not in html
    form = {"command": "serve --fast", "environment": "A=1", "timeout_seconds": "9"}
    admin.post(path, form)
    changed = Server.objects.get(name="shop")
    assert changed.command == ["serve", "--fast"]
    assert changed.secret_values() == {"A": "1"}


def _many_tools(server: Server, first: int, last: int) -> None:
    tools = Tool.objects.bulk_create(
        Tool(
            server=server,
            name=f"t{number:04}",
            original=f"t{number:04}",
            effect_proposed="read",
        )
        for number in range(first, last)
    )
    versions = ToolVersion.objects.bulk_create(
        ToolVersion(
            tool=tool,
            number=1,
            fingerprint=tool.name,
            input_schema={},
            created_at=server.created_at,
        )
        for tool in tools
    )
    for tool, version in zip(tools, versions, strict=True):
        tool.current = version
    Tool.objects.bulk_update(tools, ["current"])


def test_a_server_of_2500_tools_shows_fifty_and_leads_to_all(
    cast: Cast, browse: Browse
) -> None:
    server = make_server(
        refused=[{"name": f"bad{number}", "reason": "no"} for number in range(60)]
    )
    client = browse(cast.member)
    make_tool(server, name="a_first")
    _many_tools(server, 0, 10)
    few = queries_of(client, "/catalog/servers/crm/")
    _many_tools(server, 10, 2499)
    assert queries_of(client, "/catalog/servers/crm/") == few
    html = client.get("/catalog/servers/crm/").content.decode()
    assert html.count("/catalog/tools/crm/") == 50
    assert "The first 50 of 2,500" in html
    assert 'href="/catalog/tools/?server=crm">See and filter all of them' in html
    assert html.count(">bad") == 50
    assert "The first 50 of 60" in html
    everything = client.get(reverse("tools") + "?server=crm").content.decode()
    assert "of 2500" in everything or "of 2,500" in everything


def test_the_page_says_what_keeps_tools_from_agents(cast: Cast, browse: Browse) -> None:
    server, place = make_server(), Environment.objects.get(slug="dev")
    make_tool(server, name="ready", environments=[place])
    admin, member = browse(cast.admin), browse(cast.member)
    html = admin.get("/catalog/servers/crm/").content.decode()
    assert "Grant the server to a team" in html
    assert "in an environment</a>" not in html
    make_tool(server, name="new", confirmed_by="")
    html = admin.get("/catalog/servers/crm/").content.decode()
    assert "Say what 1 tool may do" in html
    assert "Enable 1 tool in an environment" in html
    assert "Not every tool" not in member.get("/catalog/servers/crm/").content.decode()


def test_nothing_is_left_to_say_once_all_is_reviewed(
    cast: Cast, browse: Browse
) -> None:
    server = make_server()
    places = list(Environment.objects.all())
    make_tool(server, environments=places)
    make_grant(cast.team, server)
    html = browse(cast.admin).get("/catalog/servers/crm/").content.decode()
    assert "Not every tool" not in html


def test_a_tools_history_is_of_its_changes_not_its_calls(
    cast: Cast, browse: Browse
) -> None:
    tool = make_tool(make_server())
    admin = browse(cast.admin)
    admin.post("/catalog/tools/crm/list_orders/tags/", {"tags": "billing"})
    for _ in range(60):
        record(
            events.CALL_INTENDED,
            actor=ACTOR,
            at=tool.server.created_at,
            target=tool_target(tool),
            tool=tool.full_name,
        )
    html = admin.get("/catalog/tools/crm/list_orders/").content.decode()
    assert "tool.reviewed" in html
    assert "call.intended" not in html
