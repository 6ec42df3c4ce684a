"""CPU seconds of each part of a benchmark, from /proc."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
ENGINES = {"postgres": "postgres", "redis-server": "redis"}


@dataclass(frozen=True, slots=True)
class _Row:
    parent: int
    name: str
    own: float
    reaped: float


def used(roots: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds so far of each root process, of the engines and of ourselves.

    Children count for their root, but for those of ``runner``: they are ``sandboxes``.
    """
    rows = _rows()
    me = os.getpid()
    names = {pid: name for name, pid in roots.items()}
    for pid, row in rows.items():
        if row.parent == me and row.name in ENGINES:
            names[pid] = ENGINES[row.name]
    found = dict.fromkeys([*names.values(), "sandboxes"], 0.0)
    found["client"] = rows[me].own
    for pid, row in rows.items():
        root = _root(pid, rows, names)
        if root is None:
            continue
        name = names[root]
        children = "sandboxes" if name == "runner" else name
        found[name if pid == root else children] += row.own
        found[children] += row.reaped
    return found


def since(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What each part used in between."""
    return {name: seconds - before.get(name, 0.0) for name, seconds in after.items()}


def _root(pid: int, rows: Mapping[int, _Row], names: Mapping[int, str]) -> int | None:
    while pid in rows:
        if pid in names:
            return pid
        pid = rows[pid].parent
    return None


def _rows() -> dict[int, _Row]:
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text()
        except OSError:
            continue
        name, _, rest = text.partition("(")[2].rpartition(")")
        words = rest.split()
        user, system, child_user, child_system = map(int, words[11:15])
        found[int(folder.name)] = _Row(
            int(words[1]),
            name,
            (user + system) / _TICKS,
            (child_user + child_system) / _TICKS,
        )
    return found
