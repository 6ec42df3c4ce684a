"""The scripts that the agents of a campaign submit, drawn from a seed."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WEIGHTS = {"look": 2, "put": 2, "keep": 1, "pay": 3, "send": 3}
DIRECT = "direct"
_REFUSED_SHARE = 0.06
_DIRECT_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a script; ``refused`` asks the server to refuse it."""

    tool: str
    entry: str
    refused: bool = False

    @property
    def may_fail(self) -> bool:
        """Whether the script has to expect a ToolError."""
        return self.refused or self.tool == "release"


@dataclass(frozen=True, slots=True)
class Script:
    """A script with what it does; it returns one value a step, None for an error.

    Of shape ``direct`` it is no script but one call of a tool.
    """

    name: str
    shape: str
    language: str
    steps: Sequence[Step]

    @property
    def code(self) -> str:
        """Its text."""
        if self.language == "typescript":
            return _typescript(self)
        return _parallel(self) if self.shape == "gather" else _sequential(self)


def scripts(name: str, rng: random.Random) -> Iterator[Script]:
    """Scripts without end, named ``NAME-1`` and so on."""
    number = 0
    while True:
        number += 1
        called = f"{name}-{number}"
        if rng.random() < _DIRECT_SHARE:
            tool = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            yield Script(called, DIRECT, "", [Step(tool, f"{called}-1")])
            continue
        shape = rng.choice(("sequential", "sequential", "gather"))
        language = "typescript" if rng.random() < 0.15 else "python"
        tools = rng.choices(
            list(WEIGHTS), list(WEIGHTS.values()), k=rng.choice((2, 3, 4, 6))
        )
        if rng.random() < 0.12:
            tools.insert(rng.randrange(len(tools) + 1), "release")
        steps = []
        for place, tool in enumerate(tools, 1):
            refused = tool == "send" and rng.random() < _REFUSED_SHARE
            steps.append(Step(tool, f"{called}-{place}", refused))
        yield Script(called, shape, language, steps)


def _python_call(step: Step) -> str:
    more = ", refused=True" if step.refused else ""
    return f"ledger.{step.tool}(entry='{step.entry}'{more})"


def _sequential(script: Script) -> str:
    lines = ["from tools import ledger", "values = []"]
    for step in script.steps:
        add = f"values.append({_python_call(step)})"
        if step.may_fail:
            lines += ["try:", f"    {add}"]
            lines += ["except ToolError:", "    values.append(None)"]
        else:
            lines.append(add)
    return "\n".join([*lines, "return values"])


def _parallel(script: Script) -> str:
    calls = ", ".join(f"settled({_python_call(step)})" for step in script.steps)
    return f"""import asyncio
from tools import ledger

async def settled(call):
    try:
        return await call
    except ToolError:
        return None

return list(await asyncio.gather({calls}))"""


def _typescript(script: Script) -> str:
    calls = []
    for step in script.steps:
        more = ", refused: true" if step.refused else ""
        call = f"tools.ledger.{step.tool}({{entry: '{step.entry}'{more}}})"
        calls.append(f"settled(() => {call})")
    settled = """const settled = async (call: () => Promise<string>) => {
  try {
    return await call();
  } catch (error: any) {
    return null;
  }
};
"""
    if script.shape == "gather":
        return f"{settled}return await Promise.all([{', '.join(calls)}]);"
    awaited = ", ".join(f"await {call}" for call in calls)
    return f"{settled}return [{awaited}];"
