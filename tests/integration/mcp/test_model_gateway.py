"""Models through Tollgate: an ordinary client, a real server, everything metered."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx2
import openai
import pytest

from audit.models import Event
from core.clock import now
from finops.models import UsageEvent, UsageReport
from gateway.models import ModelCall, Run
from gateway.services import model_servers
from gateway.services.model_servers import Settings
from policy.models import Quota, QuotaHold, QuotaUse
from policy.services.sandbox import Scope, set_sandbox_policy
from tests.builders.finops import make_price
from tests.builders.identity import ACTOR, make_account, make_key, make_team
from tests.integration.mcp.world import World
from tests.model_server import ODD, SECRET, ModelServerOnLoopback, model_server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:openai")
ASKED: list[Any] = [{"role": "user", "content": "How many orders came in May? " * 20}]


@pytest.fixture(scope="module")
def server(world: World) -> Iterator[ModelServerOnLoopback]:
    """A model server that the web process of the stack may reach."""
    with model_server() as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.WEBHOOK_PRIVATE_HOSTS", ["127.0.0.1"])
        with world.stack.database():
            model_servers.add_model_server(
                name="local",
                wanted=Settings(
                    url=made.url,
                    provider="acme",
                    offered={"orchid": "orchid-large", **{name: name for name in ODD}},
                    timeout_seconds=2,
                    secrets={"Authorization": f"Bearer {SECRET}"},
                ),
                actor=ACTOR,
                at=now(),
            )
            make_price("model/acme/orchid/*", "0.001")
        yield made


@pytest.fixture(scope="module")
def key(world: World) -> str:
    with world.stack.database():
        account = make_account(make_team("sales"))
        granted = ["models:use", "costs:write", "runs:execute", "tools:*"]
        return make_key(account, name="models", scopes=granted).text


@pytest.fixture
def client(
    world: World, server: ModelServerOnLoopback, key: str
) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key=key, base_url=f"{world.stack.url}/v1", max_retries=0
    ) as made:
        yield made


def ask(world: World, key: str, body: Any, **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx2.post(
        f"{world.stack.url}/v1/chat/completions",
        content=content,
        headers={"Authorization": f"Bearer {key}", **headers},
        timeout=30,
    )


def last_call(world: World) -> ModelCall:
    with world.stack.database():
        return ModelCall.objects.order_by("-pk")[0]


def ended_call(world: World) -> ModelCall:
    deadline = time.monotonic() + 10
    while not (call := last_call(world)).outcome and time.monotonic() < deadline:
        time.sleep(0.05)
    return call


def report_of(world: World, call: ModelCall) -> UsageReport:
    with world.stack.database():
        return UsageReport.objects.get(event=call.uid)


def test_an_answer_is_passed_on_and_metered(
    world: World, client: openai.OpenAI
) -> None:
    answer = client.chat.completions.create(model="orchid", messages=ASKED)
    assert answer.choices[0].message.content
    assert answer.usage is not None
    call = last_call(world)
    assert (call.outcome, call.status, call.stream) == ("answered", 200, False)
    assert call.first_seconds
    assert call.seconds
    told = report_of(world, call)
    assert (told.source, told.known, told.answer) == ("gateway", "measured", answer.id)
    assert (told.input, told.output) == (
        answer.usage.prompt_tokens,
        answer.usage.completion_tokens,
    )
    assert told.cached_read
    assert told.reasoning
    assert told.cache_write is None
    with world.stack.database():
        rows = UsageEvent.objects.filter(uid__startswith=f"usage:{told.pk}:")
        assert sum(row.quantity for row in rows) == answer.usage.total_tokens
        assert {row.cost is None for row in rows} == {False}
        assert {row.reported_at for row in rows} == {None}
        names = Event.objects.filter(body__contains=call.uid).order_by("pk")
        assert [event.name for event in names] == ["model.asked", "model.answered"]


def test_a_stream_is_passed_on_and_metered(
    world: World, client: openai.OpenAI, server: ModelServerOnLoopback
) -> None:
    with client.chat.completions.create(
        model="orchid", messages=ASKED, stream=True
    ) as stream:
        chunks = list(stream)
    assert all(chunk.choices for chunk in chunks)
    assert {chunk.usage for chunk in chunks} == {None}
    assert json.loads(server.bodies[-1])["stream_options"] == {"include_usage": True}
    told = report_of(world, last_call(world))
    assert (told.known, told.answer) == ("measured", chunks[0].id)
    assert told.output


def test_a_client_that_asks_for_usage_gets_it(
    world: World, client: openai.OpenAI, server: ModelServerOnLoopback
) -> None:
    with client.chat.completions.create(
        model="orchid",
        messages=ASKED,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        last = list(stream)[-1]
    assert last.usage is not None
    assert last.choices == []
    assert report_of(world, last_call(world)).output == last.usage.completion_tokens


def test_what_is_not_known_here_passes_byte_for_byte(
    world: World, key: str, server: ModelServerOnLoopback
) -> None:
    body = (
        b'{ "logprobs":true, "seed":1.0,"x":{"model":"a"}, "model" : "orchid",'
        b'"tools":[{"type":"function","function":{"name":"f\\u00e9"}}],\n'
        b'"messages":[{"role":"user","content":"\xc3\xa9"}]}'
    )
    answer = ask(world, key, body)
    assert answer.status_code == 200
    assert server.bodies[-1] == body.replace(b'"orchid"', b'"orchid-large"')
    sent = server.headers[-1]
    assert sent["authorization"] == f"Bearer {SECRET}"
    assert key not in json.dumps(sent)
    assert answer.headers["x-tollgate-request"] == last_call(world).uid


@pytest.mark.parametrize("stream", [False, True])
def test_without_usage_the_tokens_are_estimated(
    world: World, key: str, server: ModelServerOnLoopback, stream: bool
) -> None:
    body = {"model": "silent", "messages": ASKED, "stream": stream}
    assert ask(world, key, body).status_code == 200
    told = report_of(world, last_call(world))
    assert told.known == "estimated"
    assert told.input
    assert told.output
    assert (told.cached_read, told.cache_write, told.reasoning) == (None, None, None)


def test_usage_that_cannot_be_keeps_its_wholes(
    world: World, key: str, server: ModelServerOnLoopback
) -> None:
    ask(world, key, {"model": "odd-usage", "messages": ASKED})
    told = report_of(world, last_call(world))
    assert (told.input, told.output, told.cached_read) == (10, 5, None)


def test_usage_that_counts_on_is_taken_at_its_last(
    world: World, key: str, server: ModelServerOnLoopback
) -> None:
    answer = ask(world, key, {"model": "counting", "messages": ASKED, "stream": True})
    assert answer.text.endswith("data: [DONE]\n\n")
    told = report_of(world, last_call(world))
    # The last chunk is the one with usage alone, which is not passed on.
    assert told.output == answer.text.count("data: {")


def test_a_stream_that_is_cut_off_says_so_and_is_metered(
    world: World, client: openai.OpenAI
) -> None:
    with (
        client.chat.completions.create(
            model="cut", messages=ASKED, stream=True
        ) as stream,
        pytest.raises(openai.APIError, match="in the middle"),
    ):
        list(stream)
    call = ended_call(world)
    assert call.outcome == "cut_off"
    told = report_of(world, call)
    assert told.known == "estimated"
    assert told.output
    assert told.output <= 8


def test_a_client_that_leaves_stops_the_server_and_pays_for_what_came(
    world: World, client: openai.OpenAI, server: ModelServerOnLoopback
) -> None:
    with client.chat.completions.create(
        model="endless", messages=ASKED, stream=True
    ) as stream:
        for number, _ in enumerate(stream):
            if number == 20:
                break
    assert server.stopped.wait(10)
    call = ended_call(world)
    assert call.outcome == "left"
    told = report_of(world, call)
    assert told.known == "estimated"
    assert told.output
    assert told.output >= 20


def test_a_slow_reader_holds_the_model_server_back(
    world: World, key: str, server: ModelServerOnLoopback
) -> None:
    body = json.dumps(
        {
            "model": "endless",
            "messages": ASKED,
            "stream": True,
            "max_tokens": 20_000,
            "pause": 0,
        }
    ).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        slow.connect(("127.0.0.1", world.stack.port))
        slow.sendall(head.encode() + body)
        assert slow.recv(1024).startswith(b"HTTP/1.1 200")
        time.sleep(1.5)
        first = server.sent
        time.sleep(1)
        # It has filled the buffers between, a few megabytes, and waits.
        assert server.sent == first
        assert first < 40_000_000
    assert server.stopped.wait(20)


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("error", 400, "x"),
        ("refused", 502, "model_server_away"),
        ("slow", 504, "model_server_slow"),
        ("not-http", 502, "model_server_away"),
        ("nobody", 404, "model_not_found"),
    ],
)
def test_errors_have_openais_shape_and_no_secret(
    world: World,
    key: str,
    server: ModelServerOnLoopback,
    model: str,
    status: int,
    code: str,
) -> None:
    answer = ask(world, key, {"model": model, "messages": ASKED})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["message"]
    assert SECRET not in answer.text
    if model != "nobody":
        call = ended_call(world)
        assert (call.model, call.outcome) == (model, "failed")
        with world.stack.database():
            assert not UsageReport.objects.filter(event=call.uid).exists()


def test_secrets_are_in_no_log_event_or_row(
    world: World, key: str, server: ModelServerOnLoopback
) -> None:
    ask(world, key, {"model": "refused", "messages": ASKED})
    assert SECRET not in world.stack.logs()
    with world.stack.database():
        assert not Event.objects.filter(body__contains=SECRET).exists()
        added = Event.objects.get(name="model_server.added")
        assert json.loads(added.body)["after"]["sealed"] == ["Authorization"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"{",
        b'{"model": "orchid"}',
        b'{"model": 3, "messages": [{}]}',
        b'{"model": "orchid", "messages": []}',
        b'{"model": "orchid", "messages": [1], "stream": "yes"}',
        b'{"model": "orchid", "messages": [1], "stream_options": 3}',
        b'{"model": "orchid", "model": "error", "messages": [1]}',
        b'{"model": "orchid", "messages": [1]} x',
        b'{"model": "orchid", "messages": [NaN]}',
        b'{"model": "orchid", "messages": ' + b"[" * 5_000,
        b"\xff\xfe",
    ],
)
def test_a_bad_body_is_refused_before_it_is_sent(
    world: World, key: str, server: ModelServerOnLoopback, body: bytes
) -> None:
    before = len(server.bodies)
    answer = ask(world, key, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert len(server.bodies) == before


def test_only_a_key_with_the_scope_asks_models(
    world: World, server: ModelServerOnLoopback
) -> None:
    body = {"model": "orchid", "messages": ASKED}
    answer = ask(world, world.sales, body)
    assert answer.status_code == 403
    assert "models:use" in answer.json()["error"]["message"]
    assert ask(world, "tg_00000000_nothing", body).status_code == 401
    with world.stack.database():
        refused = Event.objects.filter(name="scope.refused", decision="deny")
        assert refused.filter(body__contains="models:use").exists()


def test_the_models_of_a_key_are_listed(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert "orchid" in names
    assert "orchid-large" not in names
    assert client.models.retrieve("orchid").owned_by == "local"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("orchid-large")


def test_a_model_that_policy_forbids_is_denied_on_record(
    world: World, server: ModelServerOnLoopback
) -> None:
    with world.stack.database():
        team = make_team("strict")
        strict = make_key(make_account(team), scopes=["models:use"]).text
        set_sandbox_policy(
            scope=Scope(team=team),
            limits={},
            models=["silent"],
            reason="only this one",
            actor=ACTOR,
            at=now(),
        )
    before = len(server.bodies)
    answer = ask(world, strict, {"model": "orchid", "messages": ASKED})
    assert (answer.status_code, len(server.bodies)) == (403, before)
    assert answer.json()["error"]["code"] == "model_not_allowed"
    listed = httpx2.get(
        f"{world.stack.url}/v1/models", headers={"Authorization": f"Bearer {strict}"}
    )
    assert [one["id"] for one in listed.json()["data"]] == ["silent"]
    with world.stack.database():
        event = Event.objects.get(name="model.refused", decision="deny")
        assert event.team == "strict"


def test_tokens_are_reserved_and_settled(
    world: World, server: ModelServerOnLoopback
) -> None:
    with world.stack.database():
        team = make_team("thrifty")
        thrifty = make_key(make_account(team), scopes=["models:use"]).text
        quota = Quota.objects.create(
            team=team, metric="tokens", window="month", limit=600
        )
    body = {"model": "orchid", "messages": ASKED, "max_tokens": 100}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(world, thrifty, body), range(8)))
    passed = [one for one in answers if one.status_code == 200]
    refused = [one for one in answers if one.status_code == 429]
    assert len(passed) + len(refused) == 8
    assert passed
    assert refused
    error = refused[0].json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "quota_exceeded")
    assert error["details"]["limit"] == 600
    assert refused[0].headers["x-should-retry"] == "false"
    used = sum(one.json()["usage"]["total_tokens"] for one in passed)
    with world.stack.database():
        assert QuotaUse.objects.get(quota=quota).used == used
        assert not QuotaHold.objects.filter(quota=quota).exists()


def test_an_answer_is_paid_by_the_run_that_it_was_for(
    world: World, key: str, server: ModelServerOnLoopback
) -> None:
    run = world.stack.execute(key, "return 1")["run"]
    body = {"model": "orchid", "messages": ASKED}
    assert ask(world, key, body, **{"X-Tollgate-Run": run}).status_code == 200
    told = report_of(world, last_call(world))
    with world.stack.database():
        assert told.run == run
        assert told.task == Run.objects.get(uid=run).task.uid
    ask(world, key, body, **{"X-Tollgate-Task": "month end"})
    assert report_of(world, last_call(world)).task.startswith("task_")
    with world.stack.database():
        other = make_key(make_account(make_team("support")), scopes=["models:use"])
    before = len(server.bodies)
    answer = ask(world, other.text, body, **{"X-Tollgate-Run": run})
    assert (answer.status_code, len(server.bodies)) == (404, before)
    with world.stack.database():
        assert Event.objects.filter(name="usage.refused", target_id=run).exists()


def test_many_at_once_are_each_metered_once(
    world: World, client: openai.OpenAI
) -> None:
    start = threading.Barrier(12)

    def one(number: int) -> int:
        start.wait()
        answer = client.chat.completions.create(model="orchid", messages=ASKED)
        assert answer.usage is not None
        return answer.usage.total_tokens

    with world.stack.database():
        before = UsageReport.objects.filter(source="gateway").count()
    with ThreadPoolExecutor(12) as pool:
        total = sum(pool.map(one, range(12)))
    with world.stack.database():
        made = UsageReport.objects.filter(source="gateway").order_by("-pk")[:12]
        assert UsageReport.objects.filter(source="gateway").count() == before + 12
        assert sum((one.input or 0) + (one.output or 0) for one in made) == total
        rows = UsageEvent.objects.filter(
            uid__in=[f"usage:{one.pk}:input" for one in made]
        )
        assert len({row.uid for row in rows}) == 12
        assert sum(row.cost or Decimal(0) for row in rows) > 0
