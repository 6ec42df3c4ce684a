"""Every kind of audit event: its name and the sentence that sums it up."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EventKind:
    """A named kind of event. ``template`` is filled from actor, target and payload."""

    name: str
    template: str

    def summary(self, values: Mapping[str, Any]) -> str:
        return self.template.format_map(_Blank(values))[:400]


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


_KINDS: dict[str, EventKind] = {}


def kind(name: str, template: str) -> EventKind:
    """Register a kind of event. Raises ValueError on a name that is taken."""
    if name in _KINDS:
        raise ValueError(f"audit event {name} is registered twice")
    _KINDS[name] = EventKind(name, template)
    return _KINDS[name]


def known() -> Mapping[str, EventKind]:
    """All registered kinds by name."""
    return dict(_KINDS)
