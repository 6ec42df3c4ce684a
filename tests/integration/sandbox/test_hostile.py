"""Scripts that try to break out, to use up the machine, or to lie to the host."""

import threading
import time

import pytest

from gateway.sandbox.api import Call, Reply
from gateway.sandbox.errors import MESSAGES
from tests.integration.sandbox.conftest import Run

pytestmark = pytest.mark.sandbox

ENDED = [
    ("while True: pass", "cpu_time", {"cpu_seconds": 0.5}),
    ("import re\nre.match('(a+)+$', 'a' * 60 + 'b')", "cpu_time", {"cpu_seconds": 0.5}),
    ("9 ** 9 ** 9", "cpu_time", {"cpu_seconds": 0.5}),
    ("import time\ntime.sleep(60)", "wall_time", {"wall_seconds": 0.5}),
    ("await asyncio.sleep(60)", "wall_time", {"wall_seconds": 0.5}),
    ("x = []\nwhile True: x.append(bytearray(1 << 20))", "memory", {}),
    ("bytearray(1 << 40)", "memory", {}),
    ("import mmap\nx = [mmap.mmap(-1, 1 << 20) for _ in range(9_000)]\n"
     "for m in x: m.write(b'x' * (1 << 20))", None, {}),
    ("import os\nwhile True: os.fork()", "processes", {}),
    ("import subprocess\nsubprocess.run(['/usr/bin/python3'])", "processes", {}),
    ("import threading, time\nwhile True:\n"
     "    threading.Thread(target=time.sleep, args=(9,)).start()", "processes", {}),
    ("while True: print('x' * 100_000)", "output_limit", {}),
    ("import sys\nsys.stdout.write('x' * (1 << 26))", "output_limit", {}),
    ("from tools import crm\nwhile True: crm.echo()", "too_many_calls", {"calls": 50}),
    ("from tools import crm\nwhile True: await crm.echo()", "too_many_calls",
     {"calls": 50}),
    ("from tools import crm\nwhile True:\n    try: crm.echo()\n    except: pass",
     "cpu_time", {"calls": 50, "cpu_seconds": 0.5}),
    ("from tools import crm\ncrm.echo(x='y' * 200_000)", "message_too_large",
     {"message_bytes": 100_000}),
    ("'x' * 100_000", "output_too_large", {"result_bytes": 10_000}),
    ("x = []\nfor _ in range(200): x = [x]\nx", "not_json", {}),
    ("import sys\nsys.setrecursionlimit(10**9)\ndef f(): return f()\nf()", None, {}),
    ("import os\nos._exit(0)", "sandbox_died", {}),
    ("import os, signal\nos.abort()", "sandbox_died", {}),
    ("(" * 10_000 + ")" * 10_000, "syntax_error", {}),
    ("import threading\nwhile True:\n"
     "    threading.Thread(target=exec, args=('while True: pass',)).start()",
     None, {"cpu_seconds": 5}),
    ("import os, signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\n"
     "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\nwhile True: pass",
     "cpu_time", {"cpu_seconds": 0.5}),
    ("import signal\nfor number in range(1, 65):\n    try:\n"
     "        signal.signal(number, signal.SIG_IGN)\n"
     "    except (OSError, ValueError): pass\nwhile True: pass",
     "cpu_time", {"cpu_seconds": 0.5}),
    ("import signal\nsignal.raise_signal(signal.SIGSEGV)", "sandbox_died", {}),
    ("import atexit\natexit.register(lambda: [0 for _ in iter(int, 1)])\n1", "", {}),
    ("import os\nfor i in range(10**9): open(f'/tmp/{i}', 'w').close()",
     None, {"cpu_seconds": 2.0}),
    ("import os\ndepth = 0\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')",
     None, {"cpu_seconds": 1.0}),
    ("import os\nx = [os.pipe() for _ in range(1_000)]", "script_error", {}),
    ("open('/tmp/x', 'wb').write(b'x' * (32 << 20))", "tmp_full", {}),
    ("open('/tmp/x', 'wb').write(b'x' * (3 << 20))", "tmp_full", {"tmp_mb": 2}),
    ("for i in range(1 << 20):\n"
     "    try: open(f'/tmp/{i}', 'w').write('x' * (1 << 20))\n"
     "    except OSError as error: last = error\n"
     "    if i == 64: raise last", "tmp_full", {}),
    ("import os\nx = [os.open('/dev/null', 0) for _ in range(1_000)]",
     "script_error", {}),
    ("x = [open(f'/tmp/{i}', 'w').write('x' * (1 << 20)) for i in range(64)]",
     "tmp_full", {}),
]  # fmt: skip


RACES = ("memory", "sandbox_died", "script_error", "cpu_time", "processes")


@pytest.mark.parametrize(("code", "error", "limits"), ENDED)
def test_a_limit_ends_the_run_with_its_code_and_the_next_run_works(
    run: Run, code: str, error: str | None, limits: dict[str, float]
) -> None:
    started = time.monotonic()
    result = run(code, **({"wall_seconds": 20.0} | limits))
    assert time.monotonic() - started < 30
    # where None stands, Python's own limit or the host's may be the first
    expected = RACES if error is None else (error,)
    assert (result.error.code if result.error else "") in expected
    assert result.usage.peak_memory_bytes < 400_000_000
    assert run("'next'").value == "next"


NOTHING_OF_THE_HOST = {
    "import socket\nsocket.socket()": "PermissionError",
    "import socket\nsocket.socketpair()": "PermissionError",
    "import socket\nsocket.create_connection(('127.0.0.1', 80))": "PermissionError",
    "import socket\nsocket.getaddrinfo('example.com', 80)": "gaierror",
    "import os\nos.execv('/usr/bin/python3', ['python3'])": "PermissionError",
    "import os\nos.kill(1, 9)": "PermissionError",
    "import os\nos.setuid(0)": "PermissionError",
    "import os\nos.chroot('/')": "PermissionError",
    "import os\nos.mkdir('/x')": "Read-only file system",
    "open('/etc/shadow')": "FileNotFoundError",
    "open('/root/.bashrc')": "FileNotFoundError",
    "open('/proc/1/mem', 'rb').read()": "Error",
    "open('/dev/mem')": "FileNotFoundError",
    "open('/sys/kernel/security')": "FileNotFoundError",
    "import ctypes": "ModuleNotFoundError",
    "import _ctypes": "ModuleNotFoundError",
    "import sys\nsys.path.insert(0, '/tmp')\nopen('/tmp/evil.so', 'wb').write(b'x')\n"
    "import importlib.machinery as m\n"
    "m.ExtensionFileLoader('evil', '/tmp/evil.so').create_module("
    "m.ModuleSpec('evil', None, origin='/tmp/evil.so'))": "ImportError",
    "import socket\nsocket.create_connection(('169.254.169.254', 80))": "Permission",
    "import socket\nsocket.socket(socket.AF_UNIX).connect('/run/x')": "Permission",
    "import socket\nsocket.socket(socket.AF_PACKET, socket.SOCK_RAW)": "Permission",
    "import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)": "Permission",
    "import os\nos.killpg(0, 9)": "PermissionError",
    "import os\nos.kill(-1, 9)": "PermissionError",
    "import os\nos.mknod('/tmp/disk', 0o60600, 0x801)": "PermissionError",
    "import os\nos.chown('/tmp', 0, 0)": "PermissionError",
    "import os\nos.setpriority(os.PRIO_PROCESS, 0, -20)": "Permission",
    "import os\nos.sched_setscheduler(0, 1, os.sched_param(50))": "PermissionError",
    "import os\nos.setsid()": "PermissionError",
    "import os\nos.memfd_create('x')": "PermissionError",
    "import os\nos.setxattr('/tmp', 'user.x', b'1')": "PermissionError",
    "import os\nos.pidfd_open(1)": "PermissionError",
    "open('/proc/kcore', 'rb')": "Error",
    "open('/proc/sysrq-trigger', 'w').write('b')": "Error",
    "open('/proc/1/root/etc/shadow')": "Error",
    "open('/proc/999/environ')": "FileNotFoundError",
    "open('/proc/sys/kernel/core_pattern', 'w')": "Error",
    "import os\nos.symlink('/', '/tmp/r')\nopen('/tmp/r/etc/shadow')": "FileNotFound",
    "open('/usr/bin/python3', 'ab')": "PermissionError",
    "import multiprocessing.connection as c\nc.Listener()": "Error",
    "import urllib.request\nurllib.request.urlopen('http://169.254.169.254/')": "Error",
    "import pip": "ModuleNotFoundError",
}


@pytest.mark.parametrize("code", NOTHING_OF_THE_HOST)
def test_there_is_no_network_and_nothing_of_the_host(run: Run, code: str) -> None:
    result = run(code)
    assert result.error is not None
    assert NOTHING_OF_THE_HOST[code] in result.error.message


def test_a_script_sees_only_its_own_world(run: Run) -> None:
    result = run(
        "import os\n"
        "world = {}\n"
        "world['root'] = sorted(os.listdir('/'))\n"
        "world['users'] = open('/etc/passwd').read().count(':x:')\n"
        "world['processes'] = [p for p in os.listdir('/proc') if p.isdigit()]\n"
        "world['ids'] = [os.getuid(), os.getgid()]\n"
        "world['environment'] = sorted(os.environ)\n"
        "world['mounts'] = len(open('/proc/mounts').read().splitlines())\n"
        "world['machine'] = os.uname().nodename\n"
        "world"
    )
    assert isinstance(result.value, dict)
    world = result.value
    assert world["root"] == sorted(
        ["dev", "etc", "lib64", "opt", "proc", "sys", "tmp", "usr"]
    )
    assert world["users"] == 1
    assert world["processes"] == ["1"]
    assert world["ids"] == [65532, 65532]
    assert world["machine"] == "sandbox"
    assert isinstance(world["environment"], list)
    assert not [name for name in world["environment"] if "TOLLGATE" in str(name)]
    assert isinstance(world["mounts"], int)
    assert world["mounts"] < 8


def test_one_run_leaves_nothing_for_the_next(run: Run) -> None:
    run("open('/tmp/left', 'w').write('x')\nimport builtins\nbuiltins.left = 1")
    assert run(
        "import os\n[os.listdir('/tmp'), 'left' in dir(__builtins__)]"
    ).value == [
        [],
        False,
    ]


# The harness's own channel, as a script that has read its source would find it
CHANNEL = (
    "import gc, json, os, struct\n"
    "channel = next(o for o in gc.get_objects() if type(o).__name__ == 'Channel')\n"
    "out = channel._outgoing\n"
    "def say(text, size=None):\n"
    "    data = text if isinstance(text, bytes) else text.encode()\n"
    "    data = struct.pack('>I', size or len(data)) + data\n"
    "    while data: data = data[os.write(out, data):]\n"
    "def call(step, tool='crm.echo', **more):\n"
    "    say(json.dumps({'t': 'call', 'id': step, 'tool': tool, 'alone': False,\n"
    "                    'arguments': {}, **more}))\n"
)
FORGED = [
    ("os.write(out, b'garbage' * 1_000)", "message_too_large"),
    ("os.write(out, b'\\x00\\x00\\x00\\x05garbage' * 1_000)", "protocol_violation"),
    ("say('x', 0xFFFFFFFF)", "message_too_large"),
    ("say('{}')", "protocol_violation"),
    ("say('{\"t\":\"ready\"}')", "protocol_violation"),
    ("say(b'\\xff\\xfe')", "protocol_violation"),
    ("say('{\"t\":\"done\",\"ok\":true,\"value\":NaN}')", "protocol_violation"),
    ("call(2)", "protocol_violation"),
    ("call(0)", "protocol_violation"),
    ("call(-1)", "protocol_violation"),
    ("call(1); call(1)", "protocol_violation"),
    ("call(True)", "protocol_violation"),
    ("call(1, tenant='other')", "protocol_violation"),
    ("call(1, tool='../../admin')", "protocol_violation"),
    ("for i in range(1, 200): call(i)", "too_many_calls_in_flight"),
    ("say(json.dumps({'t': 'done', 'ok': True, 'value': 'x' * 2_000_000}))",
     "output_too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "error"), FORGED)
def test_forged_frames_end_the_run(run: Run, code: str, error: str) -> None:
    def on_call(call: Call) -> Reply:
        time.sleep(0.3)
        return Reply()

    code = f"{CHANNEL}{code}\nimport time\ntime.sleep(20)"
    result = run(code, on_call=on_call, wall_seconds=15)
    assert result.error is not None
    assert result.error.code == error
    assert result.error.message == MESSAGES[error].format(
        calls_in_flight=16, message_bytes=8_388_608, result_bytes=1_048_576
    )


def test_a_forged_ending_is_only_the_script_speaking(run: Run) -> None:
    calls: list[int] = []

    def on_call(call: Call) -> Reply:
        calls.append(call.step)
        return Reply()

    result = run(
        CHANNEL + 'say(\'{"t":"done","ok":true,"value":"forged"}\')\n'
        "import time\ntime.sleep(0.3)\ncall(1)\ntime.sleep(5)",
        on_call=on_call,
    )
    assert result.value == "forged"
    assert result.usage.wall_seconds < 0.3
    assert calls == []
    assert result.calls == 0


@pytest.mark.parametrize("code", ["wall_time", "cancelled", "internal", "denied", "x"])
def test_a_forged_error_cannot_take_a_code_of_the_host(run: Run, code: str) -> None:
    error = {"code": code, "message": "m", "line": 9_999, "step": 7, "suggestions": []}
    frame = {"t": "done", "ok": False, "error": error}
    result = run(f"{CHANNEL}say(json.dumps({frame!r}))\nimport time\ntime.sleep(5)")
    assert result.error is not None
    assert (result.error.code, result.error.line) == ("script_error", None)


def test_a_script_that_never_reads_is_ended(run: Run) -> None:
    code = CHANNEL + "for i in range(1, 9): call(i)\nimport time\ntime.sleep(60)"
    result = run(code, on_call=lambda _: Reply(value="x" * 1_000_000), wall_seconds=2)
    assert result.error is not None
    assert result.error.code == "wall_time"
    assert result.usage.wall_seconds < 5


def test_nothing_runs_after_the_script_has_returned(run: Run) -> None:
    steps: list[int] = []

    def on_call(call: Call) -> Reply:
        steps.append(call.step)
        return Reply()

    result = run(
        "import threading\nfrom tools import crm\n"
        "def forever():\n    while True: crm.echo()\n"
        "threading.Thread(target=forever, daemon=True).start()\nreturn 'end'",
        on_call=on_call,
    )
    assert result.value == "end"
    counted = len(steps)
    time.sleep(0.3)
    assert len(steps) == counted


def test_unawaited_tasks_end_with_the_script(run: Run) -> None:
    result = run(
        "from tools import crm\n"
        "async def forever():\n    while True: await crm.echo()\n"
        "task = asyncio.create_task(forever())\nawait crm.echo()\n'end'"
    )
    assert result.value == "end"


def test_a_run_can_be_cancelled(run: Run) -> None:
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    result = run("while True: pass", cancelled=cancelled)
    assert result.error is not None
    assert result.error.code == "cancelled"
    assert result.usage.wall_seconds < 3


def test_raised_limits_inside_do_not_help(run: Run) -> None:
    result = run(
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    )
    assert result.error is not None
    assert result.error.code == "script_error"
