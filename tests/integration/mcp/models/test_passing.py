"""Models through Tollgate: an ordinary client, a real server, everything metered."""

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import openai
import pytest

from audit.models import Event
from finops.models import UsageEvent, UsageReport
from gateway.models import Run
from tests.builders.identity import make_account, make_key, make_team
from tests.integration.mcp.models.asking import (
    ASKED,
    ask,
    ended_call,
    last_call,
    report_of,
)
from tests.integration.mcp.world import World
from tests.model_server import SECRET, ModelServerOnLoopback

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:openai")


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


def test_the_models_of_a_key_are_listed(client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert "orchid" in names
    assert "orchid-large" not in names
    assert client.models.retrieve("orchid").owned_by == "local"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("orchid-large")


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
