"""Pages of tool servers."""

import csv
import io
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from core.clock import now
from gateway.models import Server
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import Cast
from tests.integration.gateway.pages.conftest import Browse, queries_of

HTTP_SERVER = {
    "name": "crm",
    "transport": "http",
    "url": "http://127.0.0.1:9/mcp",
    "headers": "Authorization: Bearer very-secret-token",
    "timeout_seconds": "30",
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Names and queues of tasks handed to the broker, which these tests leave out."""
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "core.jobs.current_app.send_task",
        lambda name, kwargs, queue: found.append((name, queue)),
    )
    return found


def page(client: Client, name: str, *args: str, query: str = "") -> str:
    response = client.get(reverse(name, args=args) + query)
    assert response.status_code == 200
    return response.content.decode()


def test_list_shows_health_tools_and_what_is_to_review(
    cast: Cast, browse: Browse
) -> None:
    crm = make_server(refused=[{"name": "bad", "reason": "not an object"}])
    make_tool(crm)
    make_tool(crm, name="set_tier", confirmed_by="")
    html = page(browse(cast.member), "servers")
    assert "12 ms" in html
    assert '?server=crm&amp;confirmed=no">1</a>' in html
    assert reverse("server_add") not in html


def test_an_empty_list_says_how_to_begin(cast: Cast, browse: Browse) -> None:
    assert reverse("server_add") in page(browse(cast.admin), "servers")
    assert "An administrator can add" in page(browse(cast.member), "servers")


def test_filters_narrow_the_list_and_its_export(cast: Cast, browse: Browse) -> None:
    make_server(name="crm")
    make_server(name="shop", transport="stdio", command=["shop", "--fast"])
    client = browse(cast.auditor)
    assert "shop" not in page(client, "servers", query="?transport=http&q=cr")
    response = client.get(reverse("servers") + "?transport=stdio&export=csv")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["name"] for row in rows] == ["shop"]
    event = Event.objects.get(name="list.exported")
    assert event.actor_id == "user:carol"
    assert '"transport":["stdio"]' in event.body


def test_adding_keeps_a_draft_seals_the_headers_and_asks_the_runner(
    cast: Cast,
    browse: Browse,
    sent: list[tuple[str, str]],
    django_capture_on_commit_callbacks: object,
) -> None:
    client = browse(cast.admin)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        response = client.post(reverse("server_add"), HTTP_SERVER)
    server = Server.objects.get(name="crm")
    assert response.status_code == 302
    assert response["Location"].startswith("/catalog/servers/crm/?syncing=")
    assert server.status == Server.Status.DRAFT
    assert server.secret_values() == {"Authorization": "Bearer very-secret-token"}
    assert sent == [("gateway.sync_server", "runs")]
    for shown in (page(client, "server", "crm"), *_bodies("server.added")):
        assert "very-secret-token" not in shown


def _bodies(name: str) -> list[str]:
    return list(Event.objects.filter(name=name).values_list("body", flat=True))


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"url": "ftp://x"}, "starts with http://"),
        ({"url": ""}, "Enter the URL"),
        ({"url": "https://user:pw@host/mcp"}, "Put credentials into headers"),
        ({"name": "my-server"}, "scripts import it"),
        ({"headers": "no colon here"}, "Line 1 is not of the form Name: value"),
        ({"transport": "stdio", "command": "run 'it"}, "quotation mark"),
        ({"transport": "stdio", "command": ""}, "Enter the command"),
        ({"timeout_seconds": "0"}, "greater than or equal to 1"),
    ],
)
def test_a_bad_form_says_what_to_do_and_keeps_nothing_secret(
    cast: Cast,
    browse: Browse,
    sent: list[tuple[str, str]],
    change: dict[str, str],
    advice: str,
) -> None:
    response = browse(cast.admin).post(reverse("server_add"), HTTP_SERVER | change)
    html = response.content.decode()
    assert response.status_code == 422
    assert advice in html
    assert "very-secret-token" not in html
    assert not Server.objects.exists()
    assert sent == []


def test_a_name_that_is_taken_is_refused(cast: Cast, browse: Browse) -> None:
    make_server(name="crm")
    response = browse(cast.admin).post(reverse("server_add"), HTTP_SERVER)
    assert response.status_code == 422
    assert "There is a server crm already" in response.content.decode()


def test_a_dead_server_shows_its_error_and_the_way_out(
    cast: Cast, browse: Browse
) -> None:
    make_server(status="draft", last_error="connection refused <b>")
    html = page(browse(cast.admin), "server", "crm")
    assert "still a draft" in html
    assert "connection refused &lt;b&gt;" in html
    assert "sync again" in html


def test_the_page_waits_for_a_sync_and_then_shows_the_result(
    cast: Cast, browse: Browse
) -> None:
    server = make_server()
    client = browse(cast.admin)
    asked = now()
    query = f"?syncing={asked:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert 'hx-trigger="every 1s"' in page(client, "server", "crm", query=query)
    Server.objects.filter(pk=server.pk).update(health_at=asked + timedelta(seconds=1))
    assert "every 1s" not in page(client, "server", "crm", query=query)
    polled = client.get(
        reverse("server", args=["crm"]) + query, headers={"HX-Request": "true"}
    )
    assert polled["HX-Redirect"] == "/catalog/servers/crm/"
    assert "crm was synced." in page(client, "server", "crm")


def test_a_sync_that_nobody_answers_is_given_up(cast: Cast, browse: Browse) -> None:
    make_server()
    long_ago = f"?syncing={now() - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
    html = page(browse(cast.admin), "server", "crm", query=long_ago)
    assert "No runner has answered" in html
    assert "every 1s" not in html


def test_the_history_is_for_those_who_may_read_the_trail(
    cast: Cast, browse: Browse
) -> None:
    server = make_server()
    admin = browse(cast.admin)
    admin.post(reverse("server_status", args=["crm"]), {"status": "disabled"})
    server.refresh_from_db()
    assert server.status == Server.Status.DISABLED
    assert "server.status" in page(admin, "server", "crm")
    assert "server.status" not in page(browse(cast.member), "server", "crm")


def test_grants_are_given_and_taken_on_the_page(cast: Cast, browse: Browse) -> None:
    server = make_server()
    admin = browse(cast.admin)
    form = {"subject": "server:crm", "holder": "team:support", "reason": "asked for"}
    given = admin.post(reverse("grant_give"), form)
    assert given["Location"] == "/catalog/servers/crm/"
    assert cast.other_team.group.groupobjectpermission_set.count() == 1
    assert 'name="holder" value="team:support"' in page(admin, "server", "crm")
    taken = admin.post(reverse("grant_take"), form | {"next": "team"})
    assert taken["Location"] == "/settings/teams/support/"
    assert cast.other_team.group.groupobjectpermission_set.count() == 0
    assert Event.objects.filter(target_id=server.name).count() == 2


@pytest.mark.parametrize(
    ("name", "args", "data"),
    [
        ("server_add", [], HTTP_SERVER | {"name": "other"}),
        ("server_sync", ["crm"], {}),
        ("server_status", ["crm"], {"status": "disabled"}),
        ("grant_give", [], {"subject": "server:crm", "holder": "team:sales"}),
        ("grant_take", [], {"subject": "server:crm", "holder": "team:sales"}),
    ],
)
def test_only_administrators_change_servers(
    cast: Cast,
    browse: Browse,
    sent: list[tuple[str, str]],
    name: str,
    args: list[str],
    data: dict[str, str],
) -> None:
    server = make_server()
    make_grant(cast.team, server)
    for user in (cast.member, cast.approver, cast.auditor, cast.finance):
        response = browse(user).post(reverse(name, args=args), data)
        assert response.status_code == 403
    server.refresh_from_db()
    assert server.status == Server.Status.ACTIVE
    assert Server.objects.count() == 1
    assert cast.team.group.groupobjectpermission_set.count() == 1
    assert sent == []
    assert Event.objects.filter(name="access.denied").count() == 4


def test_a_server_that_is_not_there_is_a_404(cast: Cast, browse: Browse) -> None:
    response = browse(cast.member).get("/catalog/servers/nope/")
    assert response.status_code == 404
    assert "choose one from the catalog" in response.content.decode()


def test_thirty_servers_cost_as_many_queries_as_three(
    cast: Cast, browse: Browse
) -> None:
    client = browse(cast.admin)
    for number in range(3):
        make_tool(make_server(name=f"s{number}"))
    few = queries_of(client, reverse("servers"))
    for number in range(3, 30):
        make_tool(make_server(name=f"s{number}"))
    assert queries_of(client, reverse("servers")) == few
