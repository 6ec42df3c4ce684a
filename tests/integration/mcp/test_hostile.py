"""Scripts that mean harm end with a code of their own; the next run works at once."""

import time
from typing import Any

import pytest

from tests.integration.mcp.world import World
from tests.stack import ERAS

HOSTILE = {
    "cpu_time": "while True: pass",
    "memory": "held = []\nwhile True: held.append(bytearray(4 * 1024 * 1024))",
    "fork": (
        "import os\nmade = 0\ntry:\n    while True:\n        os.fork()\n"
        "        made += 1\nexcept Exception as error:\n"
        "    return [made, type(error).__name__]"
    ),
    "threads": (
        "import threading, time\nmade = 0\ntry:\n    while True:\n"
        "        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "        made += 1\nexcept Exception as error:\n"
        "    return [made, type(error).__name__]"
    ),
    "output": "for _ in range(1024): print('x' * 1024 * 1024)\nreturn 'printed'",
    "output_too_large": "return 'x' * 2_000_000",
    "too_many_calls": (
        "from tools import trivial\nfor n in range(1100): trivial.negate(a=n)"
    ),
}


def then_works(world: World) -> None:
    """The next run succeeds, and without delay."""
    began = time.monotonic()
    envelope = world.stack.execute(world.sales, "return 'fine'")
    assert envelope["value"] == "fine"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("code", ["cpu_time", "memory", "output_too_large"])
def test_a_limit_ends_the_run_with_its_code(world: World, code: str) -> None:
    envelope = world.stack.execute(world.sales, HOSTILE[code])

    assert envelope["status"] == "failed"
    assert envelope["error"]["code"] == code
    assert envelope["value"] is None
    then_works(world)


def test_too_many_calls_end_the_run(world: World) -> None:
    envelope = world.stack.execute(world.sales, HOSTILE["too_many_calls"])

    assert envelope["status"] == "failed"
    assert envelope["error"]["code"] == "too_many_calls"
    assert envelope["usage"]["tool_calls"] <= 1_000
    assert envelope["calls_not_shown"] == envelope["usage"]["tool_calls"] - 200
    then_works(world)


@pytest.mark.parametrize("bomb", ["fork", "threads"])
def test_a_bomb_is_stopped_in_the_sandbox(world: World, bomb: str) -> None:
    envelope = world.stack.execute(world.sales, HOSTILE[bomb])

    if envelope["status"] == "succeeded":
        made, _ = envelope["value"]
        assert made == 0 if bomb == "fork" else made < 64
    else:
        assert envelope["error"]["code"] == "processes"
    then_works(world)


def test_a_gigabyte_of_output_ends_the_run(world: World) -> None:
    envelope = world.stack.execute(world.sales, HOSTILE["output"])

    assert len(envelope["stdout"].encode()) <= 65_536
    assert envelope["stdout_truncated"] is True
    assert envelope["error"]["code"] == "output_limit"
    then_works(world)


@pytest.mark.parametrize("era", ERAS)
def test_there_is_no_network_and_nothing_of_the_host(world: World, era: str) -> None:
    port = world.stack.port
    code = f"""
import os, socket
found = {{}}
def attempt(name, act):
    try:
        found[name] = repr(act())[:100]
    except Exception as error:
        found[name] = type(error).__name__
attempt("loopback", lambda: socket.create_connection(("127.0.0.1", {port}), 2))
attempt("outside", lambda: socket.create_connection(("192.0.2.1", 80), 2))
attempt("name", lambda: socket.gethostbyname("localhost.example"))
attempt("unix", lambda: socket.socket(socket.AF_UNIX).connect("/tmp/x"))
attempt("root", lambda: os.listdir("/work"))
attempt("home", lambda: os.listdir("/root"))
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("write", lambda: open("/etc/x", "w"))
attempt("run", lambda: os.system("id"))
found["environment"] = sorted(os.environ)
found["users"] = open("/etc/passwd").read()
found["uid"] = os.getuid()
return found
"""

    value: dict[str, Any] = world.stack.execute(world.sales, code, era)["value"]

    for name in ("loopback", "outside", "name", "unix", "shadow", "write"):
        assert value[name].endswith("Error") or value[name] == "gaierror", name
    for name in ("root", "home"):
        assert value[name] in ("FileNotFoundError", "PermissionError", "[]")
    assert value["run"] != "0"
    assert value["users"].count("\n") == 1
    assert value["uid"] == 65532
    assert not [
        one for one in value["environment"] if "TOLLGATE" in one or "URL" in one
    ]
