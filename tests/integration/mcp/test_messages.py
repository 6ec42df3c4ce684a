"""What is wrong on the wire gets the protocol's own answer and does no harm."""

import json
from typing import Any

import httpx2
import pytest

from gateway.models import Run
from tests.integration.mcp.wire import CALL, headers, message, send
from tests.integration.mcp.world import World
from tests.stack import ERAS, LEGACY, MODERN

ONLY_POST = ("GET", "DELETE", "PUT", "OPTIONS")


def error_of(response: httpx2.Response) -> tuple[int, int, str]:
    """HTTP status, JSON-RPC code and text."""
    body = response.json()
    assert body["jsonrpc"] == "2.0"
    return response.status_code, body["error"]["code"], body["error"]["message"]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("body", "status", "code", "text"),
    [
        (b"", 400, -32700, "not JSON"),
        (b"{oops", 400, -32700, "not JSON"),
        (b"\xff\xfe\xfd", 400, -32700, "not JSON"),
        (b'{"jsonrpc": NaN}', 400, -32700, "not JSON"),
        (b"[" * 5_000, 400, -32700, "not JSON"),
        (b"[]", 400, -32600, "one JSON-RPC message at a time"),
        (b"7", 400, -32600, "one JSON-RPC message at a time"),
    ],
)
def test_what_is_no_message_is_refused(
    world: World, era: str, body: bytes, status: int, code: int, text: str
) -> None:
    found = error_of(send(world.stack.mcp_url, world.sales, era, CALL, body=body))

    assert found[:2] == (status, code)
    assert text in found[2]


@pytest.mark.parametrize("era", ERAS)
def test_a_batch_is_refused_and_nothing_of_it_runs(world: World, era: str) -> None:
    call = message(CALL, {"name": "execute", "arguments": {"code": "return 1"}}, era)
    with world.stack.database():
        before = Run.objects.count()

    answer = send(
        world.stack.mcp_url,
        world.sales,
        era,
        CALL,
        body=json.dumps([call, call]).encode(),
    )

    assert error_of(answer)[:2] == (400, -32600)
    with world.stack.database():
        assert Run.objects.count() == before


@pytest.mark.parametrize("era", ERAS)
def test_a_body_over_4_mib_is_refused(world: World, era: str) -> None:
    body = json.dumps({"code": "x" * (4 * 1024 * 1024)}).encode()

    answer = send(world.stack.mcp_url, world.sales, era, CALL, body=body)

    assert error_of(answer) == (413, -32600, "A message has at most 4 MiB: send less.")


@pytest.mark.parametrize("era", ERAS)
def test_an_unknown_method_is_named(world: World, era: str) -> None:
    answer = send(world.stack.mcp_url, world.sales, era, "tools/destroy")

    status, code, _ = error_of(answer)
    assert code == -32601
    assert status == (404 if era == MODERN else 200)
    assert answer.json()["error"]["data"] == "tools/destroy"


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("search", {"query": 5, "limit": "x"}, "$.query must be a string, not 5"),
        ("search", {"query": "x", "limit": 51}, "51 is greater than the maximum of 50"),
        ("execute", {}, '$ needs "code"'),
        ("execute", {"code": "return 1", "wait": True}, "$.wait must be a number"),
        ("execute", {"code": "return 1", "timeout": 5}, '$ has no "timeout"'),
        ("execute", {"code": "x", "language": "cobol"}, 'must be one of "python"'),
        ("execute", {"code": "#" * 100_001}, "is longer than 100000 characters"),
        ("get_run", {"run": ["a"]}, "$.run must be a string"),
        ("get_run", {"run": "a", "offset": -1}, "less than the minimum of 0"),
        ("get_schema", {"tools": []}, "[] has less than 1 item"),
    ],
)
def test_wrong_arguments_are_named(
    world: World, era: str, name: str, arguments: dict[str, Any], text: str
) -> None:
    params = {"name": name, "arguments": arguments}

    found = error_of(send(world.stack.mcp_url, world.sales, era, CALL, params))

    assert found[:2] == (400 if era == MODERN else 200, -32602)
    assert text in found[2]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("arguments", [[1], "text", 7])
def test_arguments_that_are_no_object_are_refused(
    world: World, era: str, arguments: object
) -> None:
    params = {"name": "execute", "arguments": arguments}

    found = error_of(send(world.stack.mcp_url, world.sales, era, CALL, params))

    assert found[1] == -32602


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("method", ONLY_POST)
def test_only_post_is_taken(world: World, era: str, method: str) -> None:
    answer = httpx2.request(
        method, world.stack.mcp_url, headers=headers(world.sales, era), timeout=10
    )

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("era", ERAS)
def test_another_host_or_origin_is_refused(world: World, era: str) -> None:
    url = world.stack.mcp_url

    rebound = send(url, world.sales, era, "tools/list", host="evil.example")
    foreign = send(url, world.sales, era, "tools/list", origin="http://evil.example")
    own = send(url, world.sales, era, "tools/list", origin=world.stack.url)

    assert (rebound.status_code, foreign.status_code) == (421, 403)
    assert own.status_code == 200


def test_an_unknown_revision_is_told_which_there_are(world: World) -> None:
    asked = "2031-01-01"
    call = message("tools/list", {}, MODERN)
    call["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = asked

    answer = send(
        world.stack.mcp_url,
        world.sales,
        MODERN,
        "tools/list",
        body=json.dumps(call).encode(),
        mcp_protocol_version=asked,
    )

    assert answer.status_code == 400
    assert MODERN in json.dumps(answer.json()["error"])


@pytest.mark.parametrize("asked", ["2025-11-25", "2025-06-18"])
def test_initialize_settles_on_what_the_client_asks_for(
    world: World, asked: str
) -> None:
    answer = send(
        world.stack.mcp_url,
        world.sales,
        LEGACY,
        "initialize",
        {
            "protocolVersion": asked,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    )

    result = answer.json()["result"]
    assert result["protocolVersion"] == asked
    assert result["serverInfo"]["name"] == "tollgate"
    assert "tools" in result["capabilities"]
    assert "mcp-session-id" not in answer.headers


def test_lists_are_not_to_be_shared_between_keys(world: World) -> None:
    answer = send(world.stack.mcp_url, world.sales, MODERN, "tools/list")

    assert answer.json()["result"]["cacheScope"] == "private"


def test_a_path_below_the_endpoint_is_not_the_endpoint(world: World) -> None:
    answer = httpx2.post(
        f"{world.stack.mcp_url}/other", headers=headers("", LEGACY), timeout=10
    )

    assert answer.status_code in (302, 403, 404)
