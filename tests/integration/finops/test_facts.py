"""A run is counted once."""

import pytest

from finops.models import RunFact
from finops.services.facts import record_run
from tests.builders.finops import make_fact

pytestmark = pytest.mark.django_db


def test_a_run_is_recorded_once_with_all_its_values() -> None:
    template = make_fact(run="run_a", cost="0.000000000001", tokens_avoided=-7)
    values = {
        field.attname: getattr(template, field.attname)
        for field in RunFact._meta.concrete_fields
        if field.attname != "id"
    }
    fact = RunFact(**(values | {"run": "run_b"}))
    assert record_run(fact=fact) is True
    saved = RunFact.objects.get(run="run_b")
    assert {name: getattr(saved, name) for name in values} == values | {"run": "run_b"}
    again = RunFact(**(values | {"run": "run_b", "tokens": 5}))
    assert record_run(fact=again) is False
    assert RunFact.objects.get(run="run_b").tokens == template.tokens
