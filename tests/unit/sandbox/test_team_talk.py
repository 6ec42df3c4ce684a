"""One run's talk with a team's sandbox: limits, one ending, believed errors."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest

from gateway.sandbox.api import Call, CallError, Job, Limits, OnCall, Reply
from gateway.sandbox.channel import Failed, Printed, Ready, Returned, ToolCall
from gateway.sandbox.errors import Violation
from gateway.sandbox.team.talk import Talk, mentioned


def serve(call: Call) -> Reply:
    return Reply(value=call.step)


def make_talk(on_call: OnCall = serve, **limits: int) -> Talk:
    job = Job("r", "a\nb", "python", 1, 0.0, {}, Limits(**limits), "sales/dev")
    return Talk(job, on_call, ThreadPoolExecutor(4), None)


def call(step: int, *, alone: bool = True) -> ToolCall:
    return ToolCall(step, "crm.echo", {}, alone)


def failed(code: str, *, line: int | None = None, step: int = 0) -> Failed:
    return Failed(code, "as it says", line, step, ())


class Sent:
    """What was sent to the sandbox."""

    def __init__(self) -> None:
        self.bodies: list[object] = []

    def __call__(self, number: int, body: bytes) -> None:
        self.bodies.append(orjson.loads(body))


def test_of_a_large_catalog_only_what_the_script_names_is_sent() -> None:
    tools = {f"s{n}": {f"f{i}": f"s{n}.f{i}" for i in range(30)} for n in range(3)}

    def sent(code: str) -> object:
        job = Job("r", code, "python", 1, 0.0, tools)
        return mentioned(job).tools

    assert sent("from tools import s1\ns1.f2()\ns1.f22(x=1)") == {
        "s1": {"f2": "s1.f2", "f22": "s1.f22"}
    }
    assert sent("getattr(tools.s1, 'f' + '3')()") == tools
    assert sent("1 + 1") == {}
    few = Job("r", "1", "python", 1, 0.0, {"s1": tools["s1"]})
    assert mentioned(few) is few


def test_calls_are_served_in_order_until_the_ending() -> None:
    talk, sent = make_talk(), Sent()
    talk.take(call(1), 10)
    holder = threading.Thread(target=talk.hold, args=(sent,))
    holder.start()
    while not sent.bodies:
        time.sleep(0.005)
    talk.take(Returned("done", 6), 10)
    holder.join(5)
    assert sent.bodies == [{"id": 1, "value": 1}]
    assert talk.error() is None
    assert talk.value == "done"
    assert talk.calls == 1


def test_calls_in_flight_together_are_served_together() -> None:
    together = threading.Barrier(3, timeout=5)

    def wait(call: Call) -> Reply:
        together.wait()
        return Reply(value=call.step)

    talk, sent = make_talk(wait), Sent()
    for step in (1, 2, 3):
        talk.take(call(step, alone=False), 10)
    holder = threading.Thread(target=talk.hold, args=(sent,))
    holder.start()
    while len(sent.bodies) < 3:
        time.sleep(0.005)
    talk.take(Returned(None, 4), 10)
    holder.join(5)
    assert sorted(body["id"] for body in sent.bodies) == [1, 2, 3]  # type: ignore[index]


@pytest.mark.parametrize("step", [0, 2, -1])
def test_a_step_out_of_order_is_a_broken_interpreter(step: int) -> None:
    with pytest.raises(Violation):
        make_talk().take(call(step), 10)


def test_more_calls_in_flight_than_allowed_are_a_broken_interpreter() -> None:
    talk = make_talk(calls_in_flight=2)
    talk.take(call(1, alone=False), 10)
    talk.take(call(2, alone=False), 10)
    with pytest.raises(Violation):
        talk.take(call(3, alone=False), 10)


def test_a_second_ready_is_a_broken_interpreter() -> None:
    with pytest.raises(Violation):
        make_talk().take(Ready(), 10)


def test_limits_that_a_script_can_pass_end_the_run_alone() -> None:
    many = make_talk(calls=1)
    many.take(call(1), 10)
    many.take(call(2), 10)
    assert many.verdict == "too_many_calls"
    loud = make_talk(stdout_bytes=10)
    loud.take(Printed("x" * 641), 10)
    assert loud.verdict == "output_limit"
    assert loud.stdout == "x" * 10
    assert loud.stdout_truncated
    big = make_talk(result_bytes=10)
    big.take(Returned("x" * 20, 22), 30)
    assert big.verdict == "output_too_large"
    assert big.value is None
    flood = make_talk(message_bytes=10_000, result_bytes=10_000)
    flood.take(Printed(""), 20_000)
    assert flood.verdict == "message_too_large"


def test_the_first_ending_counts() -> None:
    talk = make_talk()
    talk.end("wall_time")
    talk.take(Returned(1, 1), 10)
    error = talk.error()
    assert error is not None
    assert error.code == "wall_time"
    done = make_talk()
    done.take(Returned(1, 1), 10)
    done.end("wall_time")
    assert done.error() is None


def test_a_tool_that_fails_is_told_in_the_hosts_own_words() -> None:
    def deny(call: Call) -> Reply:
        return Reply(
            error=CallError("denied", "no grant", True, ("crm.echo",), {"a": 1})
        )

    talk = make_talk(deny)
    talk.take(call(1), 10)
    holder = threading.Thread(target=talk.hold, args=(Sent(),))
    holder.start()
    while not talk._errors:
        time.sleep(0.005)
    talk.take(failed("tool_error", line=2, step=1), 10)
    holder.join(5)
    error = talk.error()
    assert error is not None
    assert (error.code, error.line, error.retryable) == ("denied", 2, True)
    assert error.message == "crm.echo: no grant"
    assert error.details == {"a": 1}


@pytest.mark.parametrize("code", ["wall_time", "internal", "cancelled", "made_up"])
def test_codes_of_the_host_are_not_believed(code: str) -> None:
    talk = make_talk()
    talk.take(failed(code, line=99), 10)
    error = talk.error()
    assert error is not None
    assert error.code == "script_error"
    assert error.line is None


def test_what_monty_enforces_inside_is_believed_in_the_hosts_words() -> None:
    for code, retryable in (("cpu_time", False), ("sandbox_died", True)):
        talk = make_talk()
        talk.take(failed(code), 10)
        error = talk.error()
        assert error is not None
        assert (error.code, error.retryable) == (code, retryable)
        assert "as it says" not in error.message


def test_a_call_that_raises_ends_the_run_as_internal() -> None:
    def explode(call: Call) -> Reply:
        raise RuntimeError("a bug of ours")

    talk = make_talk(explode)
    talk.take(call(1), 10)
    with pytest.raises(Exception, match=r"crm\.echo: RuntimeError"):
        talk.hold(Sent())
    error = talk.error("internal")
    assert error is not None
    assert error.retryable
