"""The agents of a campaign: each submits one script after the other."""

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from mcp import MCPError

from tests.soak.scripts import DIRECT, Script, Step, scripts
from tests.stack import Stack

_OPEN = ("queued", "running")
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.3
_GONE_SECONDS = 1.0
Gone = (ExceptionGroup, MCPError, httpx2.HTTPError, OSError, TimeoutError)


@dataclass(slots=True)
class Submission:
    """A script that was sent; a direct call's answer does not tell its run."""

    script: Script
    run: str = ""
    answered: bool = False
    problem: str = ""


@dataclass(slots=True)
class Agent:
    """Sends scripts over MCP, looks how they end, and bears a web that is away."""

    stack: Stack
    key: str
    name: str
    seed: int
    submissions: list[Submission] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Submit without pause until told to stop."""
        rng = random.Random(f"{self.seed} {self.name}")
        for script in scripts(self.name, rng):
            if self.stopping.is_set():
                return
            made = Submission(script)
            self.submissions.append(made)
            self._submit(made, wait=rng.choice((0, 2, 20)))
            if not made.answered:
                self.stopping.wait(_GONE_SECONDS)

    def _submit(self, made: Submission, *, wait: float) -> None:
        script = made.script
        if script.shape == DIRECT:
            self._call(made, script.steps[0])
            return
        answer = self._ask(
            made,
            "execute",
            {
                "code": script.code,
                "language": script.language,
                "task": script.name,
                "wait": wait,
            },
        )
        made.run = answer.get("run", "")
        made.answered = bool(made.run)
        until = time.monotonic() + _PATIENCE_SECONDS
        while answer.get("status") in _OPEN and time.monotonic() < until:
            if self.stopping.is_set():
                return
            self.stopping.wait(_PAUSE_SECONDS)
            answer = self._ask(made, "get_run", {"run": made.run}) or answer

    def _call(self, made: Submission, step: Step) -> None:
        try:
            answer = self.stack.call(
                self.key, f"ledger.{step.tool}", {"entry": step.entry}
            )
            made.answered = not answer.is_error
        except Gone as error:
            made.problem = f"{step.tool}: {type(error).__name__}"

    def _ask(
        self, made: Submission, tool: str, arguments: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        try:
            result = self.stack.call(self.key, tool, arguments)
        except Gone as error:
            made.problem = f"{tool}: {type(error).__name__}"
            return {}
        if result.structured_content is None or "status" not in (
            result.structured_content
        ):
            made.problem = f"{tool}: {result.content}"[:200]
            return {}
        answer: Mapping[str, Any] = result.structured_content
        return answer
