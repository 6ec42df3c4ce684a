"""The example of the field in docs/: 10,000 orders stay, three rows come back."""

import json
import os
import subprocess
import sys

import pytest

from gateway.models import ToolCall
from tests.integration.mcp.conftest import World
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
