"""A report as a table: exact for files, in words for pages and mail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """``names`` and ``rows`` are for files; ``headings`` and ``shown`` for people.

    ``summary`` is the figure of the whole in one line, ``caption`` how sure it is.
    """

    title: str
    summary: str
    caption: str
    names: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    headings: tuple[str, ...]
    shown: Sequence[tuple[str, ...]]
