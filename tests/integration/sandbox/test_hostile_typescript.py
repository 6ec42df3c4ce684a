"""TypeScript that tries to break out, to use up the machine, or to lie to the host."""

import threading
import time

import pytest

from gateway.sandbox.api import Call, Reply
from gateway.sandbox.errors import MESSAGES
from tests.integration.sandbox.conftest import Run

pytestmark = pytest.mark.sandbox

SLEEP = "await new Promise((resolve) => setTimeout(resolve, 60_000));"
ENDED = [
    ("while (true);", "cpu_time", {"cpu_seconds": 0.5}),
    ("/(a+)+$/.test('a'.repeat(60) + 'b')", "cpu_time", {"cpu_seconds": 0.5}),
    ("let x = 3n; while (true) x *= x", "cpu_time script_error", {"cpu_seconds": 0.5}),
    ("while (true) await null", "cpu_time", {"cpu_seconds": 0.5}),
    ("const again = () => process.nextTick(again); again(); await new Promise(() => 0)",
     "cpu_time", {"cpu_seconds": 0.5}),
    (SLEEP, "wall_time", {"wall_seconds": 0.5}),
    ("Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)", "wall_time",
     {"wall_seconds": 0.5}),
    ("const x: unknown[] = []; while (true) x.push(new Array(1_000).fill({}))",
     "memory", {}),
    ("const x = []; while (true) x.push(new Uint8Array(1 << 20).fill(1))",
     "memory", {}),
    ("const x = []; while (true) x.push(Buffer.alloc(1 << 20, 1))", "memory", {}),
    ("let x = 'x'; while (true) x += x", "memory script_error", {}),
    ("const m = new Map(); for (let i = 0; ; i++) m.set(i, {i})", "memory", {}),
    ("return Buffer.allocUnsafe(2 ** 40).fill(1).length", "memory", {}),
    ("const spawn = process.binding('spawn_sync').spawn;\n"
     "const done = spawn({file: '/usr/bin/node', args: ['x'], stdio: []});\n"
     "if (done.error !== -1) return 'spawned'; throw new Error('EPERM')",
     "script_error sandbox_died", {}),
    ("function f() { return f() + 1 }\nreturn f()", "script_error", {}),
    ("let x: any = []; for (let i = 0; i < 1e5; i++) x = [x]; return x",
     "not_json", {}),
    ("return '('.repeat(1e5) + eval('('.repeat(1e5) + ')'.repeat(1e5))",
     "script_error sandbox_died", {}),
    ("require('child_process').execSync('id')", "processes", {}),
    ("require('child_process').spawn('/usr/bin/node'); " + SLEEP, "processes", {}),
    ("const c = require('child_process'); c.fork('/tmp/x.js'); " + SLEEP,
     "processes", {}),
    ("require('cluster').fork(); " + SLEEP, "processes", {}),
    ("const { Worker } = require('worker_threads');\n"
     "for (let i = 0; i < 100; i++) new Worker('setInterval(() => 0, 9)', {eval: true})"
     "\n" + SLEEP, "processes memory sandbox_died", {}),
    ("while (true) console.log('x'.repeat(100_000))", "output_limit", {}),
    ("process.stderr.write('x'.repeat(1 << 26))", "output_limit message_too_large", {}),
    ("while (true) await tools.crm.echo()", "too_many_calls", {"calls": 50}),
    ("while (true) try { await tools.crm.echo() } catch {}", "too_many_calls",
     {"calls": 50}),
    ("await Promise.all(Array.from({length: 999}, () => tools.crm.echo()))",
     "too_many_calls", {"calls": 50}),
    ("return tools.crm.echo({x: 'y'.repeat(200_000)})", "message_too_large",
     {"message_bytes": 100_000}),
    ("return 'x'.repeat(100_000)", "output_too_large", {"result_bytes": 10_000}),
    ("process.reallyExit(0)", "sandbox_died", {}),
    ("process.abort()", "sandbox_died", {}),
    ("process.exit(3)", "script_error", {}),
    ("const { openSync } = require('fs');\n"
     "for (let i = 0; i < 1_000; i++) openSync('/dev/null')", "script_error", {}),
    ("for (let i = 0; i < 64; i++)\n"
     "  require('fs').writeFileSync(`/tmp/${i}`, 'x'.repeat(1 << 20))",
     "tmp_full", {}),
    ("require('fs').writeFileSync('/tmp/x', Buffer.alloc(32 << 20))", "tmp_full", {}),
    ("require('fs').writeFileSync('/tmp/x', Buffer.alloc(3 << 20))", "tmp_full",
     {"tmp_mb": 2}),
    ("const { Worker } = require('worker_threads');\n"
     "for (let i = 0; i < 9; i++) new Worker('setInterval(() => 0, 9)', {eval: true})"
     "\n" + SLEEP, "processes memory sandbox_died", {"processes": 1}),
    ("for (let i = 0; ; i++) require('fs').writeFileSync(`/tmp/${i}`, '')",
     "cpu_time wall_time memory script_error", {"cpu_seconds": 2.0}),
    ("process.on('SIGTERM', () => 0); process.on('exit', () => { while (true); });\n"
     "process.exit(0)", None, {}),
    ("setInterval(() => tools.crm.echo(), 0); " + SLEEP, "too_many_calls",
     {"calls": 50}),
    ("new Promise((_, no) => no(new Error('lost'))); " + SLEEP, "script_error", {}),
    ("process.removeAllListeners(); new Promise((_, no) => no(new Error('lost'))); "
     + SLEEP, "script_error sandbox_died", {}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "errors", "limits"), ENDED)
def test_a_limit_ends_the_run_with_its_code_and_the_next_run_works(
    run_typescript: Run, code: str, errors: str | None, limits: dict[str, float]
) -> None:
    started = time.monotonic()
    result = run_typescript(code, **({"wall_seconds": 20.0} | limits))
    assert time.monotonic() - started < 40
    # where there are several, it is a race which of them comes first
    found = result.error.code if result.error else None
    assert found in (errors.split() if errors else [None])
    assert result.error is None or result.error.message
    assert result.usage.peak_memory_bytes < 400_000_000
    assert run_typescript("return 'next'").value == "next"


NOTHING_OF_THE_HOST = {
    "require('net').connect(80, '127.0.0.1'); " + SLEEP: "EPERM",
    "require('net').connect(80, '169.254.169.254'); " + SLEEP: "EPERM",
    "require('net').connect('/run/docker.sock'); " + SLEEP: "EPERM",
    "require('net').createServer().listen(8080); " + SLEEP: "EPERM",
    "require('dgram').createSocket('udp4').bind(); " + SLEEP: "EPERM",
    "await require('dns').promises.lookup('example.com')": "EAI_AGAIN",
    "await new Promise((_, no) => require('http').get('http://169.254.169.254/latest/')"
    ".on('error', no))": "EPERM",
    "await require('https').get('https://10.0.0.1'); " + SLEEP: "EPERM",
    "return fetch('http://127.0.0.1')": "fetch is not defined",
    "return new WebSocket('ws://127.0.0.1')": "WebSocket is not defined",
    "require('inspector').open(9229, '127.0.0.1'); await fetch(1)": "not defined",
    "return new WebAssembly.Memory({initial: 1})": "WebAssembly is not defined",
    "process.kill(1, 9)": "EPERM",
    "process.kill(process.pid, 'SIGSTOP')": "EPERM",
    "process.kill(-1, 9)": "EPERM",
    "process.setuid(0)": "EPERM",
    "process.setgid(0)": "EPERM",
    "require('os').setPriority(-20)": "E",
    "process.dlopen({exports: {}}, '/tmp/x.node')": "loading addons is disabled",
    "require('fs').mkdirSync('/x')": "EROFS",
    "require('fs').writeFileSync('/usr/bin/node', '')": "E",
    "require('fs').mkdirSync('/proc/x')": "E",
    "require('fs').readFileSync('/etc/shadow')": "ENOENT",
    "require('fs').readFileSync('/root/.bashrc')": "ENOENT",
    "require('fs').readFileSync('/proc/kcore')": "E",
    "require('fs').writeFileSync('/proc/sysrq-trigger', 'b')": "E",
    "require('fs').readFileSync('/proc/1/root/etc/shadow')": "E",
    "require('fs').readFileSync('/proc/999/environ')": "ENOENT",
    "require('fs').openSync('/proc/self/mem', 'r+'); return fetch": "E",
    "require('fs').readFileSync('/dev/mem')": "ENOENT",
    "require('fs').readdirSync('/sys/kernel/security')": "ENOENT",
    "require('fs').chownSync('/tmp', 0, 0)": "EPERM",
    "require('fs').symlinkSync('/', '/tmp/r'); "
    "require('fs').readFileSync('/tmp/r/etc/shadow')": "ENOENT",
    "require('ffi')": "Cannot find module",
    "require('/tmp/x.js')": "Cannot find module",
    "return import('node:fs')": "ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING",
    "return import('/tmp/x.mjs')": "ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING",
}


@pytest.mark.parametrize("code", NOTHING_OF_THE_HOST)
def test_there_is_no_network_and_nothing_of_the_host(
    run_typescript: Run, code: str
) -> None:
    result = run_typescript(code, wall_seconds=10)
    assert result.error is not None, result.value
    assert result.error.code == "script_error"
    text = f"{result.error.message} {result.stdout}"
    assert NOTHING_OF_THE_HOST[code] in text


def test_a_script_sees_only_its_own_world(run_typescript: Run) -> None:
    result = run_typescript(
        "const fs = require('fs');\n"
        "return {root: fs.readdirSync('/'),\n"
        "  ids: [process.getuid(), process.getgid()],\n"
        "  processes: fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name)),\n"
        "  environment: Object.keys(process.env),\n"
        "  machine: require('os').hostname(),\n"
        "  mounts: fs.readFileSync('/proc/mounts', 'utf8').split('\\n').length - 1,\n"
        "  users: fs.readFileSync('/etc/passwd', 'utf8')}"
    )
    world = result.value
    assert isinstance(world, dict), result.error
    assert world["root"] == sorted(
        ["dev", "etc", "lib64", "opt", "proc", "sys", "tmp", "usr"]
    )
    assert world["ids"] == [65532, 65532]
    assert world["processes"] == ["1"]
    assert world["machine"] == "sandbox"
    assert isinstance(world["environment"], list)
    assert not [name for name in world["environment"] if "TOLLGATE" in str(name)]
    assert isinstance(world["mounts"], int)
    assert world["mounts"] < 8
    assert world["users"] == "script:x:65532:65532::/tmp:/nonexistent\n"


def test_one_run_leaves_nothing_for_the_next(run_typescript: Run) -> None:
    run_typescript(
        "require('fs').writeFileSync('/tmp/left', 'x'); globalThis.left = 1;\n"
        "Object.prototype.left = 1; Math.random = () => 1"
    )
    result = run_typescript(
        "return [require('fs').readdirSync('/tmp'), 'left' in globalThis, "
        "Math.random()]"
    )
    assert isinstance(result.value, list)
    assert result.value[:2] == [[], False]
    assert result.value[2] != 1


# What a script says that speaks to the host itself, over the harness's descriptor
CHANNEL = """
const say = (data, size) => {
  const body = Buffer.from(data);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(size ?? body.length);
  require('fs').writeSync(1, Buffer.concat([head, body]));
};
const call = (id, more = {}) => say(JSON.stringify(
  {t: 'call', id, tool: 'crm.echo', alone: false, arguments: {}, ...more}));
"""
FORGED = [
    ("require('fs').writeSync(1, 'garbage'.repeat(1_000))", "message_too_large"),
    ("for (let i = 0; i < 999; i++) say('garbage')", "protocol_violation"),
    ("say('x', 0xFFFFFFFF)", "message_too_large"),
    ("say('{}')", "protocol_violation"),
    ("say('{\"t\":\"ready\"}')", "protocol_violation"),
    ("say(Buffer.from([255, 254]))", "protocol_violation"),
    ("say('{\"t\":\"done\",\"ok\":true,\"value\":NaN}')", "protocol_violation"),
    ("say('{\"t\":\"done\",\"ok\":true,\"value\":\"\\\\u0000\"}')",
     "protocol_violation"),
    ("say('{\"t\":\"done\",\"ok\":true,\"value\":' + '['.repeat(200) + "
     "']'.repeat(200) + '}')", "protocol_violation"),
    ("call(2)", "protocol_violation"),
    ("call(0)", "protocol_violation"),
    ("call(-1)", "protocol_violation"),
    ("call(1.5)", "protocol_violation"),
    ("call(1); call(1)", "protocol_violation"),
    ("call(true)", "protocol_violation"),
    ("call(1, {tenant: 'other'})", "protocol_violation"),
    ("call(1, {tool: '../../admin'})", "protocol_violation"),
    ("for (let i = 1; i < 200; i++) call(i)", "too_many_calls_in_flight"),
    ("say(JSON.stringify({t: 'done', ok: true, value: 'x'.repeat(2_000_000)}))",
     "output_too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "error"), FORGED)
def test_forged_frames_end_the_run(run_typescript: Run, code: str, error: str) -> None:
    def on_call(call: Call) -> Reply:
        time.sleep(0.3)
        return Reply()

    code = f"{CHANNEL}{code};\n{SLEEP}"
    result = run_typescript(code, on_call=on_call, wall_seconds=15)
    assert result.error is not None
    assert result.error.code == error
    assert result.error.message == MESSAGES[error].format(
        calls_in_flight=16, message_bytes=8_388_608, result_bytes=1_048_576
    )


def test_a_forged_ending_is_only_the_script_speaking(run_typescript: Run) -> None:
    calls: list[int] = []

    def on_call(call: Call) -> Reply:
        calls.append(call.step)
        return Reply()

    result = run_typescript(
        CHANNEL + 'say(\'{"t":"done","ok":true,"value":"forged"}\');\n'
        "setTimeout(() => call(1), 300);" + SLEEP,
        on_call=on_call,
        wall_seconds=15,
    )
    assert result.value == "forged"
    assert calls == []
    assert result.calls == 0


@pytest.mark.parametrize("code", ["wall_time", "cancelled", "internal", "denied", "x"])
def test_a_forged_error_cannot_take_a_code_of_the_host(
    run_typescript: Run, code: str
) -> None:
    result = run_typescript(
        f"{CHANNEL}say(JSON.stringify({{t: 'done', ok: false, error: {{code: '{code}', "
        f"message: 'm', line: 9999, step: 7, suggestions: []}}}}));\n{SLEEP}"
    )
    assert result.error is not None
    assert (result.error.code, result.error.line) == ("script_error", None)


def test_a_script_that_swallows_its_replies_ends_at_its_wall_time(
    run_typescript: Run,
) -> None:
    code = CHANNEL + "for (let i = 1; i < 9; i++) call(i);\nwhile (true) await null"
    result = run_typescript(
        code, on_call=lambda _: Reply(value="x" * 1_000_000), wall_seconds=2
    )
    assert result.error is not None
    assert result.error.code == "wall_time"
    assert result.usage.wall_seconds < 6


def test_nothing_runs_after_the_script_has_returned(run_typescript: Run) -> None:
    steps: list[int] = []

    def on_call(call: Call) -> Reply:
        steps.append(call.step)
        return Reply()

    result = run_typescript(
        "const forever = async () => { while (true) await tools.crm.echo() };\n"
        "forever(); setInterval(() => tools.crm.echo(), 1);\n"
        "await tools.crm.echo(); return 'end'",
        on_call=on_call,
    )
    assert result.value == "end"
    counted = len(steps)
    time.sleep(0.3)
    assert len(steps) == counted


def test_a_run_can_be_cancelled(run_typescript: Run) -> None:
    cancelled = threading.Event()
    timer = threading.Timer(1, cancelled.set)
    timer.start()
    result = run_typescript("while (true);", cancelled=cancelled, cpu_seconds=60)
    assert result.error is not None
    assert result.error.code == "cancelled"
