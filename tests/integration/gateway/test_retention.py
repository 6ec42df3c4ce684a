"""Results are dropped when their time is up, and nothing else."""

from datetime import timedelta

import pytest

from audit.models import Event
from core.clock import now
from gateway.models import Run, ToolCall
from gateway.services.retention import forget_results
from tests.builders.runs import make_call, make_run

pytestmark = pytest.mark.django_db


def test_only_old_results_are_dropped() -> None:
    old = make_run(value=[1, 2], stdout="said", at=now() - timedelta(days=40))
    new = make_run(value=[3], at=now() - timedelta(days=1))
    for run in (old, new):
        make_call(run, result={"rows": 10})
    assert forget_results(at=now()) == 1
    old.refresh_from_db()
    new.refresh_from_db()
    assert (old.value, old.stdout, new.value) == (None, "", [3])
    assert ToolCall.objects.get(run=old).result is None
    assert ToolCall.objects.get(run=old).outcome == "ok"
    assert ToolCall.objects.get(run=new).result == {"rows": 10}
    assert Event.objects.get(name="results.forgotten")
    assert forget_results(at=now()) == 0
    assert Run.objects.count() == 2
