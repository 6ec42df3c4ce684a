"""Every kind of audit event: its name and version, its sentence, and what it tells."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

# Words that each sentence may use; all others are keys of the payload.
WORDS = frozenset(("actor", "target", "tool", "run", "decision", "reasons"))


@dataclass(frozen=True, slots=True)
class EventKind:
    """A named kind of event. ``template`` is filled from actor, target and payload.

    ``payload`` are the keys that an event of this kind may carry, None stands for any;
    ``version`` is raised when their meaning changes.
    """

    name: str
    template: str
    payload: frozenset[str] | None = None
    version: int = 1

    def summary(self, values: Mapping[str, Any]) -> str:
        return self.template.format_map(_Blank(values))[:400]

    def unknown(self, payload: Iterable[str]) -> list[str]:
        """Keys that events of this kind do not have."""
        if self.payload is None:
            return []
        return [key for key in payload if key not in self.payload]


class _Blank(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


_KINDS: dict[str, EventKind] = {}


def kind(name: str, template: str, *payload: str, version: int = 1) -> EventKind:
    """Register a kind of event, with what its payload may hold beside the sentence.

    Raises ValueError on a name that is taken.
    """
    if name in _KINDS:
        raise ValueError(f"audit event {name} is registered twice")
    told = {field for _, field, _, _ in Formatter().parse(template) if field}
    keys = frozenset(told - WORDS | set(payload))
    _KINDS[name] = EventKind(name, template, keys, version)
    return _KINDS[name]


def known() -> Mapping[str, EventKind]:
    """All registered kinds by name."""
    return dict(_KINDS)


_HEAD = """\
# Audit events

Every kind of event, as `manage.py audit_events` prints it. An event's body has `uid`,
`at`, `name`, `version`, `actor`, `target`, `decision`, `reasons`, `before`, `after`,
`payload`, `tool`, `run`, `step` and `policy_version`; a payload has no other keys than
these.

| event | version | summary | payload |
| --- | --- | --- | --- |
"""


def as_markdown() -> str:
    """The page that lists all kinds."""
    rows = [
        f"| `{one.name}` | {one.version} | {one.template} "
        f"| {', '.join(f'`{key}`' for key in sorted(one.payload or ()))} |\n"
        for _, one in sorted(_KINDS.items())
    ]
    return _HEAD + "".join(rows)
