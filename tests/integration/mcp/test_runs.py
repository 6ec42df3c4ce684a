"""Scripts through the endpoint: their envelope, waiting, paging, direct calls."""

import asyncio
from typing import Any

import pytest

from gateway.models import Run
from tests.integration.mcp.world import World
from tests.stack import ERAS, MODERN, text_of

pytestmark = pytest.mark.parametrize("era", ERAS)
SECONDS = 30.0


def failure(world: World, era: str, tool: str, arguments: dict[str, Any]) -> Any:
    """The error of a call that has to fail."""
    result = world.stack.call(world.sales, tool, arguments, era)
    assert result.is_error
    assert result.structured_content is not None
    assert text_of(result) == result.structured_content
    return result.structured_content["error"]


def test_an_envelope_holds_value_output_and_calls(world: World, era: str) -> None:
    code = "from tools import trivial\nprint('hello')\n"
    code += "return {'sum': trivial.add(a=2, b=3), 'text': trivial.upper(text='ä')}"

    result = world.stack.call(world.sales, "execute", {"code": code}, era)

    envelope = result.structured_content
    assert envelope is not None
    assert not result.is_error
    assert text_of(result) == envelope
    assert envelope["status"] == "succeeded"
    assert envelope["value"] == {"sum": 5, "text": "Ä"}
    assert envelope["stdout"] == "hello\n"
    assert envelope["error"] is None
    assert envelope["calls"] == [
        {"tool": "trivial.add", "outcome": "ok"},
        {"tool": "trivial.upper", "outcome": "ok"},
    ]
    assert envelope["usage"]["tool_calls"] == 2
    assert envelope["usage"]["queue_seconds"] >= 0
    assert envelope["usage"]["run_seconds"] > 0
    assert float(envelope["usage"]["cost"]) > 0


def test_typescript_goes_the_same_way(world: World, era: str) -> None:
    code = (
        "console.log('hello');\nconst [sum, text] = await Promise.all([\n"
        "  tools.trivial.add({ a: 2, b: 3 }),\n"
        "  callTool('trivial.upper', { text: 'ä' })]);\n"
        "return { sum, text } as { sum: number };"
    )
    arguments = {"code": code, "language": "typescript"}

    result = world.stack.call(world.sales, "execute", arguments, era)

    envelope = result.structured_content
    assert envelope is not None
    assert envelope["value"] == {"sum": 5, "text": "Ä"}
    assert envelope["stdout"] == "hello\n"
    assert {call["tool"] for call in envelope["calls"]} == {
        "trivial.add",
        "trivial.upper",
    }
    assert {call["outcome"] for call in envelope["calls"]} == {"ok"}


def test_typescript_is_checked_before_it_runs(world: World, era: str) -> None:
    arguments = {"code": "\nreturn tools.trivial.ad({})", "language": "typescript"}

    error = failure(world, era, "execute", arguments)

    assert (error["code"], error["line"]) == ("unknown_tool", 2)
    assert error["suggestions"][0].startswith("tools.trivial.add(args: {a: number")


def test_the_last_expression_is_the_value(world: World, era: str) -> None:
    assert world.stack.execute(world.sales, "x = 6\nx * 7", era)["value"] == 42


def test_an_error_names_the_line_of_the_script(world: World, era: str) -> None:
    code = "print('before')\nrows = []\nreturn rows[3]"

    result = world.stack.call(world.sales, "execute", {"code": code}, era)

    assert result.is_error
    assert result.structured_content is not None
    error = result.structured_content["error"]
    assert error["code"] == "script_error"
    assert error["line"] == 3
    assert "IndexError" in error["message"]
    assert result.structured_content["stdout"] == "before\n"


def test_a_script_that_does_not_parse_is_told_the_line(world: World, era: str) -> None:
    error = failure(world, era, "execute", {"code": "x = 1\nreturn ("})

    assert error["code"] == "syntax_error"
    assert error["line"] == 2


def test_a_tool_error_can_be_caught(world: World, era: str) -> None:
    code = "try:\n    call_tool('shop.get_order', {'id': 'none'})\n"
    code += "except ToolError as error:\n    return [error.code, str(error)]"

    envelope = world.stack.execute(world.sales, code, era)

    assert envelope["value"][0] == "tool_error"
    assert "none" in envelope["value"][1]
    assert envelope["calls"] == [{"tool": "shop.get_order", "outcome": "tool_error"}]
    assert envelope["status"] == "succeeded"


def test_calls_run_in_parallel_with_gather(world: World, era: str) -> None:
    code = "import asyncio\nfrom tools import trivial\n"
    code += "return await asyncio.gather(*[trivial.negate(a=n) for n in range(10)])"

    envelope = world.stack.execute(world.sales, code, era)

    assert envelope["value"] == [-n for n in range(10)]
    assert len(envelope["calls"]) == 10


def test_a_result_that_is_no_json_comes_as_text(world: World, era: str) -> None:
    code = "from tools import crm\nrows = crm.list_customers(limit=1)['customers']\n"
    code += "return crm.customer_summary(customer_id=rows[0]['id'])"

    value = world.stack.execute(world.sales, code, era)["value"]

    assert isinstance(value, str)
    assert "customer in" in value


def test_a_value_that_is_no_json_is_refused(world: World, era: str) -> None:
    error = failure(world, era, "execute", {"code": "return {1, 2}"})

    assert error["code"] == "not_json"


def test_without_waiting_the_run_is_asked_for(world: World, era: str) -> None:
    code = "import time\ntime.sleep(0.5)\nreturn 'done'"

    async def follow() -> list[dict[str, Any]]:
        async with world.stack.client(world.sales, era) as client:
            submitted = await client.call_tool("execute", {"code": code, "wait": 0})
            seen = [submitted.structured_content or {}]
            deadline = asyncio.get_running_loop().time() + SECONDS
            while seen[-1]["status"] in ("queued", "running"):
                assert asyncio.get_running_loop().time() < deadline
                await asyncio.sleep(0.1)
                asked = await client.call_tool("get_run", {"run": seen[0]["run"]})
                seen.append(asked.structured_content or {})
        return seen

    first, *_, last = asyncio.run(follow())

    assert first["status"] in ("queued", "running")
    assert first["value"] is None
    assert last["status"] == "succeeded"
    assert last["value"] == "done"
    assert last["usage"]["run_seconds"] >= 0.5


def test_waiting_ends_after_the_time_that_is_given(world: World, era: str) -> None:
    code = "import time\ntime.sleep(3)\nreturn 1"

    envelope = world.stack.execute(world.sales, code, era, wait=0.2)

    assert envelope["status"] in ("queued", "running")


def test_attempts_at_one_task_are_counted(world: World, era: str) -> None:
    task = f"count the orders, {era}"
    for code in ("return rows", "return 1"):
        world.stack.execute(world.sales, code, era, task=task)

    with world.stack.database():
        attempts = list(
            Run.objects.filter(task__label=task)
            .order_by("attempt")
            .values_list("attempt", "status")
        )
    assert attempts == [(1, "failed"), (2, "succeeded")]


def test_a_large_value_is_cut_and_can_be_paged(world: World, era: str) -> None:
    code = "return {'rows': [{'n': n, 'text': 'x' * 40} for n in range(5000)]}"
    envelope = world.stack.execute(world.sales, code, era)
    run = envelope["run"]

    def page(**more: Any) -> Any:
        return world.stack.ask(world.sales, "get_run", {"run": run, **more}, era)

    shown = envelope["value"]["rows"]
    assert len(shown) < 5000
    assert shown[-1] == f"... {5000 - len(shown) + 1:,} more items"
    assert f"get_run(run='{run}'" in envelope["truncated"]["page_with"]
    answer = page(path="$.rows", offset=4990, limit=100)
    assert answer["status"] == "succeeded"
    assert [row["n"] for row in answer["page"]["value"]] == list(range(4990, 5000))
    assert answer["page"]["next_offset"] is None
    assert page(path="$.rows", offset=7, limit=2)["page"]["next_offset"] == 9
    assert page(path="$.rows[3].n")["page"]["value"] == 3


def test_a_path_that_leads_nowhere_is_an_error(world: World, era: str) -> None:
    run = world.stack.execute(world.sales, "return {'a': 1}", era)["run"]

    assert failure(world, era, "get_run", {"run": run, "path": "$.b"})["code"] == (
        "not_found"
    )
    assert failure(world, era, "get_run", {"run": run, "path": "$["})["code"] == (
        "invalid"
    )


def test_a_page_of_a_run_that_goes_on_is_an_error(world: World, era: str) -> None:
    code = "import time\ntime.sleep(1)\nreturn [1]"
    run = world.stack.execute(world.sales, code, era, wait=0)["run"]

    error = failure(world, era, "get_run", {"run": run, "path": "$"})

    assert error["code"] == "invalid"
    assert "has not ended" in error["message"]


@pytest.mark.parametrize("uid", ["run_nonesuch", "", "run_\x00", "'; DROP TABLE"])
def test_an_unknown_run_is_not_found(world: World, era: str, uid: str) -> None:
    error = failure(world, era, "get_run", {"run": uid})

    assert error["code"] == "not_found"
    assert "There is no run" in error["message"]


def test_the_run_of_another_team_is_not_found(world: World, era: str) -> None:
    run = world.stack.execute(world.support, "return 'theirs'", era)["run"]

    error = failure(world, era, "get_run", {"run": run})

    assert error["code"] == "not_found"


@pytest.mark.parametrize("code", ["", "  \n\t"])
def test_an_empty_script_is_refused(world: World, era: str, code: str) -> None:
    error = failure(world, era, "execute", {"code": code})

    assert error["code"] == "invalid"
    assert "The script is empty" in error["message"]


def test_a_nul_in_a_script_is_refused(world: World, era: str) -> None:
    error = failure(world, era, "execute", {"code": "return '\0'"})

    assert error["code"] == "invalid"
    assert "NUL" in error["message"]


@pytest.mark.parametrize(
    "code",
    ["return chr(0xD800)", "print(chr(0xDC00) + chr(0))", "raise ValueError(chr(0))"],
)
def test_what_postgresql_cannot_hold_loses_no_run(
    world: World, era: str, code: str
) -> None:
    envelope = world.stack.execute(world.sales, code, era)

    assert envelope["status"] in ("succeeded", "failed")
    assert envelope["error"] is None or envelope["error"]["code"] != "internal"


def test_an_argument_that_postgresql_cannot_hold_is_refused(
    world: World, era: str
) -> None:
    code = "from tools import trivial\nreturn trivial.length(text='a' + chr(0) + 'b')"

    error = world.stack.execute(world.sales, code, era)["error"]

    assert error["code"] == "script_error"
    assert error["line"] == 2
    assert "arguments['text'] holds a NUL" in error["message"]


def test_a_direct_tool_is_called_as_any_other(world: World, era: str) -> None:
    result = world.stack.call(world.sales, "trivial.add", {"a": 2, "b": 5}, era)

    assert not result.is_error
    assert text_of(result) == 7
    with world.stack.database():
        run = Run.objects.filter(mode="direct", principal="sa:sales/agent").latest("pk")
        assert list(run.calls.values_list("tool", "outcome")) == [("trivial.add", "ok")]


def test_wrong_arguments_of_a_direct_tool_are_named(world: World, era: str) -> None:
    error = failure(world, era, "trivial.add", {"a": "x"})

    assert error["code"] == "invalid_arguments"
    assert '$ needs "b"' in error["message"]
    assert error["details"]["run"].startswith("run_")


def test_a_tool_for_scripts_only_is_denied_directly_and_says_so(
    world: World, era: str
) -> None:
    error = failure(world, era, "trivial.echo", {"text": "x"})

    assert error["code"] == "denied"
    assert "call it from a script with execute" in error["message"]


@pytest.mark.parametrize("name", ["trivial.add\x00", "x" * 500, "trivial\nadd"])
def test_what_cannot_name_a_tool_is_not_found(
    world: World, era: str, name: str
) -> None:
    error = failure(world, era, name, {})

    assert error["code"] == "not_found"
    assert "Use search" in error["message"]


def test_eight_clients_at_once_each_get_their_own(world: World, era: str) -> None:
    async def one(number: int) -> Any:
        async with world.stack.client(world.sales, era) as client:
            code = f"from tools import trivial\nreturn trivial.negate(a={number})"
            result = await client.call_tool("execute", {"code": code})
        assert result.structured_content is not None
        return result.structured_content["value"]

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*map(one, range(8)))

    assert asyncio.run(all_of_them()) == [-n for n in range(8)]


def test_both_eras_see_the_same_run(world: World, era: str) -> None:
    other = next(one for one in ERAS if one != era)
    envelope = world.stack.execute(world.sales, "return [1, 2]", era)

    seen = world.stack.ask(world.sales, "get_run", {"run": envelope["run"]}, other)

    assert seen == envelope
    assert MODERN in ERAS
