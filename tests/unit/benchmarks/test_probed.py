"""The clocks are put where the product looks its parts up."""

import importlib

import pytest

from benchmarks.probed import PROBES

PLACES = sorted({place for probes in PROBES.values() for place in probes.values()})


@pytest.mark.parametrize("place", PLACES)
def test_each_place_of_a_clock_is_there(place: str) -> None:
    module, _, path = place.partition(":")
    holder = importlib.import_module(module)
    for name in path.split("."):
        holder = getattr(holder, name)
    assert callable(holder)
