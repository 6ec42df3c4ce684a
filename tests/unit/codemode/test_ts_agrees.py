"""No script that runs well is refused: the check against Node itself."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.codemode.checks import check
from gateway.codemode.validate import Validators, without_omitted
from gateway.sandbox import image
from gateway.sandbox.errors import SandboxUnavailable
from tests.unit.codemode.makers import make_catalog, make_list_orders

TOOL = make_list_orders()
CATALOG = make_catalog(TOOL)
NODE = Path(image.__file__).parent / "node"
# Runs scripts as the sandbox does; says which arguments each passed, or how it failed.
JUDGE = """
const { compile } = require("./script.js");
const { makeTools } = require("./toolkit.js");
const { toJSON } = require("./values.js");
const lines = require("node:readline").createInterface({ input: process.stdin });
lines.on("line", async (line) => {
  const passed = [];
  const rows = Object.assign([1], { since: "2026" });
  const call = async (_, given) => {
    passed.push(toJSON(given ?? {}, "arguments"));
    return rows;
  };
  const known = { crm: { list_orders: "crm.list_orders" } };
  const { tools, callTool } = makeTools(known, { call });
  let failed = null;
  try {
    await compile(JSON.parse(line))(tools, callTool, Error);
  } catch (error) {
    failed = String(error.message);
  }
  console.log(JSON.stringify({ failed, passed: passed.map((one) => JSON.parse(one)) }));
});
"""
DECLARED = """
const since = "2026", limit = 5, status = "paid", key = "limit";
const given = {limit: 7}, nothing = undefined;
const f = <A, B>(a: unknown = 1, b: unknown = 2) => "x", a = 1, b = 2;
type Filter<A = unknown, B = unknown> = { since: string; limit?: number };
"""
KEYS = ["since", "limit", "status", "limits", "toJSON", "__proto__", "get", "as"]
VALUES = """'2026' | "a b" | '' | `x` | `${a}, limits: {${{b}.b}}` | 5 | -5 | 1_000
2.0 | 1e2 | 0x1F | .5 | 5n && 5 | null | undefined | true | [1, 'a'] | [,1] | {}
a ? 'x' : 5 | {a: {b: [1]}} | since | limit | status | 'paid' as const
5 as any | a ? nothing : 5
f(a, b) | f<string, limit>(a, b) | new Map<string, number>().size | a < b ? limit : 9
((a, b) => { return 'q' })(1, 2) | 'a' + 5 | 5 + '' | /[,}'"]/.source | (5, limit)
since! | since satisfies string | 'a'.length | 6 / 2 | [5][0] | {x: 3}.x | void 0
(function () { return 3 })() | await f() /* , limits: 1 } */ | typeof a | -limit + 9
a // }\n | class { static limits = 1 } && 4 | async () => 5 | key?.length"""
MEMBERS = """...given | ...{limit: 'x'} | ...(a ? {since} : {}) | [key]: 5
['since']: '2026' | since | limit | status | get since() { return 'g' }
limit() {} | async status() {}
*limit() {} | 'since': since | 'lim' : 5 | 5: 5 | ...[] | ...null | set limit(a) {}
[`since`]() {} | ...nothing"""


def forms(text: str) -> st.SearchStrategy[str]:
    """One of the forms that ` | ` and line ends part."""
    found = text.replace("\n", " | ").split(" | ")
    return st.sampled_from([one.replace("\\n", "\n") for one in found])


member = st.one_of(
    st.builds("{}: {}".format, st.sampled_from(KEYS), forms(VALUES)),
    forms(MEMBERS),
)
objects = st.builds(
    "{{{}{}}}".format,
    st.lists(member, max_size=5).map(", ".join),
    st.sampled_from(["", "\n", " // }\n", " /* { */ "]),
)
CASTS = (
    """ as Filter |  as Filter<a, {b: 1}[]> |  satisfies Filter |  as any || {since}"""
)
WHOLE = """given | ...[{since}] | a ? {since} : {} | {since}, 5 | 5 | null"""
arguments = st.one_of(
    st.builds(
        "{}{}".format, objects, st.one_of(st.sampled_from(["", ","]), forms(CASTS))
    ),
    st.builds("({})".format, objects),
    st.one_of(st.just(""), forms(WHOLE)),
)
calls = st.one_of(
    st.builds("tools.crm.listOrders({})".format, arguments),
    st.builds("tools?.crm.list_orders({})".format, arguments),
    st.builds("callTool('crm.list_orders', {})".format, arguments),
)
SHAPES = [
    "return await {0}",
    "const r = await {0};\nreturn r.since",
    "return (await {0}).since",
    "await Promise.all([{0}, {0}])",
    "const p = {0};\nconst r = await p; return r.since",
    "return {0}.then((p) => p.since)",
    "for (const x of await {0}) console.log(x)",
    "for await (const x of [{0}]) x.at(0)",
    "if ((await {0}).length) {{ return 1 }}",
    "const p = {0}\nreturn [[1]].map((p) => p.length).concat(await p)",
    "const p = {0}\nreturn [[1]].map(({{length: p}}) => p).concat(await p)",
    "const p = {0}; function g(p: any) {{ return p.length }}\nreturn g(await p)",
    "const [r] = await {0};\nreturn `${{r}} ${{(await {0}).since}}`",
    "return 6 / 2 + (await {0}).length / 2",
]
scripts = st.builds(
    lambda shape, call: DECLARED + shape.format(call), st.sampled_from(SHAPES), calls
)


class Judge:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [str(image._node()), "-e", JUDGE],
            cwd=NODE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )

    def runs_well(self, code: str) -> bool:
        """Whether Node runs the script and the catalog takes all that it passes."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(code) + "\n")
        line = "log"
        while not line.startswith('{"failed"'):
            line = stdout.readline()
            assert line, "Node ended"
        said: dict[str, Any] = json.loads(line)
        known = TOOL.input_schema["properties"].keys()
        return said["failed"] is None and not any(
            passed.keys() - known
            or VALIDATORS.check(TOOL, without_omitted(TOOL, passed))
            for passed in said["passed"]
        )


VALIDATORS = Validators()


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    try:
        image._node()
    except SandboxUnavailable as error:
        pytest.skip(str(error))
    made = Judge()
    yield made
    made.process.kill()
    made.process.communicate()


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(code=scripts)
def test_what_runs_well_is_not_refused(judge: Judge, code: str) -> None:
    said = check(code, "typescript", CATALOG).diagnostics
    if said:
        assert not judge.runs_well(code), said


def test_the_judge_tells_good_from_bad(judge: Judge) -> None:
    assert judge.runs_well("return await tools.crm.listOrders({since: 'a'})")
    assert not judge.runs_well("return await tools.crm.listOrders({since: 5})")
    assert not judge.runs_well("return await tools.crm.listOrders({})")
    assert not judge.runs_well("return await tools.crm.listOrders(5)")
