"""Pages of model servers."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.actor import Target
from audit.models import Event
from audit.services.record import record
from core.clock import now
from gateway import events
from gateway.models import ModelCall, ModelServer
from tests.builders.catalog import make_model_server
from tests.builders.identity import ACTOR, Cast
from tests.integration.gateway.pages.conftest import Browse, queries_of
from tests.model_server import SECRET, model_server

SENT = {
    "name": "gpu",
    "url": "https://llm.example.net/v1/",
    "provider": "acme",
    "models": "orchid as orchid-large\n\nsmall",
    "headers": f"Authorization: Bearer {SECRET}",
    "timeout_seconds": "90",
}


def make_call(number: int, *, outcome: str = "answered", team: str = "sales") -> None:
    ModelCall.objects.create(
        uid=f"llm_{number}",
        server="gpu",
        provider="acme",
        model="orchid",
        upstream_model="orchid-large",
        team=team,
        cost_centre="C",
        project="default",
        environment="dev",
        principal=f"sa:{team}/agent",
        stream=True,
        expected=10,
        asked_at=now() - timedelta(minutes=number),
        first_seconds=0.25,
        seconds=1.5,
        status=200,
        outcome=outcome,
    )


def page(client: Client, name: str, *args: str, query: str = "") -> str:
    response = client.get(reverse(name, args=args) + query)
    assert response.status_code == 200
    return response.content.decode()


def post(client: Client, path: str, /, *args: str, **sent: Any) -> Any:
    return client.post(reverse(path, args=args), sent)


def test_a_server_is_added_with_sealed_headers(cast: Cast, browse: Browse) -> None:
    client = browse(cast.admin)
    assert post(client, "model_server_add", **SENT).status_code == 302
    server = ModelServer.objects.get()
    assert server.offered == {"orchid": "orchid-large", "small": "small"}
    assert server.url == "https://llm.example.net/v1"
    assert server.secret_values() == {"Authorization": f"Bearer {SECRET}"}
    assert SECRET.encode() not in bytes(server.secrets or b"")
    html = page(client, "model_server", "gpu")
    assert "Sealed; never shown" in html
    assert SECRET not in html + page(client, "model_server_change", "gpu")
    record(
        events.MODEL_ASKED,
        actor=ACTOR,
        at=now(),
        target=Target("model_server", "gpu", "gpu"),
        payload={"model": "orchid", "request": "llm_1", "stream": False},
    )
    # Its history is of what people did to it, not of every request.
    history = page(client, "model_server", "gpu")
    assert "model_server.added" in history
    assert "model.asked" not in history
    event = Event.objects.get(name="model_server.added")
    assert json.loads(event.body)["after"]["sealed"] == ["Authorization"]
    assert SECRET not in event.body


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"url": "http://llm.example.net/v1"}, "Use https://"),
        ({"url": "https://169.254.169.254/v1"}, "private network"),
        ({"url": "ftp://llm.example.net"}, "https://"),
        ({"url": "https://u:p@llm.example.net/v1"}, "without a user"),
        ({"name": "a b"}, "letters, digits"),
        ({"models": " "}, "required"),
        ({"models": "a\na"}, "stands twice"),
        ({"models": "taken"}, "offers taken already"),
        ({"headers": "no header"}, "Line 1"),
        ({"timeout_seconds": "0"}, "greater than"),
    ],
)
def test_what_cannot_be_is_said_at_the_form(
    cast: Cast, browse: Browse, wrong: dict[str, str], said: str
) -> None:
    make_model_server("other", offered={"taken": "taken"})
    response = post(browse(cast.admin), "model_server_add", **(SENT | wrong))
    assert response.status_code == 422
    html = response.content.decode().replace("&#x27;", "'")
    assert said in html
    assert SECRET not in html
    assert ModelServer.objects.count() == 1


def test_a_change_keeps_headers_but_not_for_a_stranger(
    cast: Cast, browse: Browse
) -> None:
    client = browse(cast.admin)
    post(client, "model_server_add", **SENT)
    sent = SENT | {"headers": "", "provider": "other"}
    assert post(client, "model_server_change", "gpu", **sent).status_code == 302
    server = ModelServer.objects.get()
    assert (server.provider, bool(server.secrets)) == ("other", True)
    moved = sent | {"url": "https://evil.example.net/v1"}
    response = post(client, "model_server_change", "gpu", **moved)
    assert response.status_code == 422
    assert "enter the headers again" in response.content.decode()
    moved |= {"forget_secrets": "on"}
    assert post(client, "model_server_change", "gpu", **moved).status_code == 302
    assert ModelServer.objects.get().secrets is None
    assert Event.objects.filter(name="model_server.changed").count() == 2


def test_a_pause_takes_its_models_away_on_record(cast: Cast, browse: Browse) -> None:
    make_model_server()
    client = browse(cast.admin)
    for answer, state in (("no", "Paused"), ("yes", "Enabled")):
        assert post(client, "model_server_status", "gpu", enabled=answer)
        assert state in page(client, "model_servers")
    assert Event.objects.filter(name="model_server.status").count() == 2
    ModelServer.objects.update(enabled=False)
    make_model_server("second")
    response = post(client, "model_server_status", "gpu", enabled="yes")
    assert response.status_code == 422
    assert not ModelServer.objects.get(name="gpu").enabled


def test_a_connection_is_tested_over_the_network(
    cast: Cast, browse: Browse, settings: Any
) -> None:
    client = browse(cast.admin)
    with model_server() as real:
        make_model_server(url=real.url)
        response = client.post(reverse("model_server_test", args=["gpu"]), follow=True)
        assert "Use https://" in response.content.decode()
        settings.WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1"]
        response = client.post(reverse("model_server_test", args=["gpu"]), follow=True)
    html = response.content.decode()
    assert "orchid-small" in html
    assert "The last test failed" not in html
    response = client.post(reverse("model_server_test", args=["gpu"]), follow=True)
    assert "The last test failed" in response.content.decode()
    outcomes = Event.objects.filter(name="model_server.tested").order_by("pk")
    assert len(outcomes) == 3


def test_a_page_shows_the_calls_of_ones_own_teams(cast: Cast, browse: Browse) -> None:
    make_model_server()
    make_call(1)
    make_call(2, outcome="cut_off")
    make_call(3, team="support")
    assert page(browse(cast.member), "model_server", "gpu").count("250 ms") == 3
    html = page(browse(cast.outsider), "model_server", "gpu")
    assert "Cut off" not in html
    listed = page(browse(cast.admin), "model_servers")
    assert '<td class="tg-number">3</td>' in listed
    assert '<td class="tg-number">1</td>' in listed


def test_the_list_costs_a_bounded_number_of_queries(cast: Cast, browse: Browse) -> None:
    client = browse(cast.member)
    make_model_server()
    make_call(1)
    few = queries_of(client, reverse("model_servers"))
    for number in range(10):
        make_model_server(f"more-{number}", offered={f"m{number}": "x"})
    assert queries_of(client, reverse("model_servers")) == few


def test_the_list_is_exported(cast: Cast, browse: Browse) -> None:
    make_model_server()
    answer: Any = browse(cast.member).get(reverse("model_servers") + "?export=csv")
    assert b"gpu" in answer.getvalue()
    assert Event.objects.filter(name="list.exported").count() == 1


def test_an_empty_list_says_how_to_begin(cast: Cast, browse: Browse) -> None:
    assert reverse("model_server_add") in page(browse(cast.admin), "model_servers")
    assert "An administrator can" in page(browse(cast.member), "model_servers")
