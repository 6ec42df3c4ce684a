"""A line of the access table: an address, a method, and who is let in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CAST = ("anonymous", "outsider", "member", "approver", "auditor", "finance", "admin")


@dataclass(frozen=True)
class Row:
    method: str
    name: str
    letters: str
    arguments: dict[str, Any]
    body: Mapping[str, Any] = field(default_factory=dict)
    json: bool = False
    query: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.name}"


def row(
    method: str,
    name: str,
    letters: str,
    /,
    body: Mapping[str, Any] | None = None,
    json: bool = False,
    query: str = "",
    **arguments: Any,
) -> Row:
    assert len(letters) == len(CAST), f"{name}: one letter for each of {CAST}"
    return Row(method, name, letters, arguments, body or {}, json, query)
