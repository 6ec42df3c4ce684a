"""What a sink is given: sealed events, and the checkpoints that anchor them."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

PRODUCT = "Tollgate"
VERSION = "0.1.0"


@dataclass(frozen=True)
class Sealed:
    """An event with its place in the sealed index.

    ``body`` is the exact text that was sealed; ``leaf`` is its hash in the tree, as
    hex (RFC 9162, section 2.1.1).
    """

    index: int
    uid: str
    at: datetime
    name: str
    summary: str
    body: str
    leaf: str

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The body, parsed."""
        facts: dict[str, Any] = json.loads(self.body)
        return facts


@dataclass(frozen=True)
class Anchor:
    """A signed checkpoint: the root of the tree's first ``size`` leaves."""

    size: int
    root: str
    note: str
    at: datetime

    @property
    def uid(self) -> str:
        return f"checkpoint_{self.size}"

    @property
    def summary(self) -> str:
        return f"The trail was sealed up to {self.size:,} events"


Item = Sealed | Anchor
CHECKPOINT = "audit.checkpoint"


def name_of(item: Item) -> str:
    """The kind of event; checkpoints have one of their own."""
    return item.name if isinstance(item, Sealed) else CHECKPOINT


def denied(item: Item) -> bool:
    """Whether it tells of a refusal."""
    return isinstance(item, Sealed) and item.facts.get("decision") == "deny"
