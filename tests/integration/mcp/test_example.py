"""The example of the field in docs/: 10,000 orders stay, three rows come back."""

import ast
import json
import os
import re
import subprocess
import sys

import pytest

from gateway.models import ToolCall
from tests.integration.mcp.world import World
from tests.stack import ROOT


@pytest.mark.parametrize("protocol", ["2026-07-28", "2025-11-25"])
def test_three_rows_come_back(world: World, protocol: str) -> None:
    done = subprocess.run(
        [sys.executable, "docs/examples/orders_join.py", "--protocol", protocol],
        cwd=ROOT,
        env={
            **os.environ,
            "TOLLGATE_URL": world.stack.url,
            "TOLLGATE_KEY": world.sales,
        },
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    assert done.returncode == 0, done.stderr + done.stdout
    envelope = json.loads(done.stdout)
    assert envelope["status"] == "succeeded"
    assert len(envelope["value"]) == 3
    spent = [row["spent"] for row in envelope["value"]]
    assert spent == sorted(spent, reverse=True)
    assert set(envelope["value"][0]) == {"customer", "country", "spent"}
    assert "10000 orders of" in envelope["stdout"]
    assert len(done.stdout) < 5_000
    with world.stack.database():
        calls = ToolCall.objects.filter(run__uid=envelope["run"])
        moved = sum(calls.values_list("result_bytes", flat=True))
        assert not calls.exclude(outcome="ok").exists()
    assert moved > 1_000_000


def blocks(language: str) -> list[str]:
    """The code blocks of a language in the page on connecting."""
    page = (ROOT / "docs" / "connecting.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_the_configurations_are_json() -> None:
    found = [json.loads(block) for block in blocks("json")]

    assert found[0]["mcpServers"]["tollgate"]["type"] == "http"
    assert found[1]["servers"]["tollgate"]["url"].endswith("/mcp")


def test_the_page_on_connecting_shows_a_client_that_works(world: World) -> None:
    (code,) = blocks("python")

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "TOLLGATE_URL": world.stack.url,
            "TOLLGATE_KEY": world.sales,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert len(ast.literal_eval(done.stdout)) == 3
