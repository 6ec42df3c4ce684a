"""BM25 search over the tools a principal may see."""

import difflib
import logging
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import bm25s
import numpy as np
from numpy.typing import NDArray

from gateway.codemode.definitions import Schema, ToolDef
from gateway.codemode.terms import COMMON, terms, words

# Chosen on six public retrieval sets (recall@5 0.41 against 0.37 with the usual
# 1.5 and 0.75): tool descriptions vary much in length for reasons of style alone.
K1 = 3.0
B = 0.9
NAME_WEIGHT = 2

MAX_QUERY_CHARS = 1000
MAX_LIMIT = 50
_MAX_SUGGESTIONS = 5
_MAX_PARAMETERS = 200
_MASKS = 64

Mask = NDArray[np.bool_]

# The library tells of every index it builds, and on standard error.
logging.getLogger("bm25s").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Hits:
    """What a search found: best first, out of all the caller may see."""

    total_visible: int
    tools: tuple[ToolDef, ...]
    suggestions: tuple[str, ...]


def _parameters(
    schema: Schema, depth: int = 0
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return
    for name, part in properties.items():
        part = part if isinstance(part, Mapping) else {}
        yield str(name), part
        if depth < 2:
            yield from _parameters(part, depth + 1)


def _document(tool: ToolDef) -> list[str]:
    name = terms(f"{tool.name} {tool.title}")
    if tool.original != tool.name:
        name += terms(tool.original)
    found = name * NAME_WEIGHT + terms(tool.server) + terms(" ".join(tool.tags))
    found += terms(tool.description)
    for number, (parameter, part) in enumerate(_parameters(tool.input_schema)):
        if number >= _MAX_PARAMETERS:
            break
        found += terms(parameter)
        found += terms(str(part.get("description", "")))
    return found


class Index:
    """An immutable index over one catalog revision; safe to share between threads."""

    def __init__(self, tools: Sequence[ToolDef]) -> None:
        # Sorted, so that equal scores come in the same order in every process.
        self._tools = tuple(sorted(tools, key=lambda tool: tool.full_name))
        self._names = [tool.full_name for tool in self._tools]
        self._servers = np.array([tool.server for tool in self._tools], dtype=object)
        self._tagged: dict[str, Mask] = {}
        for row, tool in enumerate(self._tools):
            for tag in tool.tags:
                mask = self._tagged.setdefault(tag.casefold(), self._none())
                mask[row] = True
        documents = [_document(tool) for tool in self._tools]
        self._bm25: bm25s.BM25 | None = None
        if any(documents):
            self._bm25 = bm25s.BM25(k1=K1, b=B)
            self._bm25.index(documents, show_progress=False, create_empty_token=False)
        self._mask_of = lru_cache(maxsize=_MASKS)(self._mask)
        self._all = np.ones(len(self._tools), dtype=np.bool_)

    def __len__(self) -> int:
        return len(self._tools)

    def search(
        self,
        query: str,
        *,
        allowed: AbstractSet[str] | None,
        limit: int = 10,
        tags: Sequence[str] = (),
        server: str | None = None,
    ) -> Hits:
        """Tools that match the query, best first; an empty query lists by server.

        `allowed` holds full names, None means all. A frozenset is the fastest: its
        filter is remembered. Several tags must all be present.
        """
        visible = self._visible(allowed)
        total = int(np.count_nonzero(visible))
        scope = self._narrowed(visible, tags, server)
        limit = max(1, min(limit, MAX_LIMIT))
        query = query[:MAX_QUERY_CHARS]
        if words(query):
            rows = self._ranked(query, scope, limit)
        else:
            rows = [int(row) for row in np.flatnonzero(scope)[:limit]]
        if rows:
            return Hits(total, tuple(self._tools[row] for row in rows), ())
        return Hits(total, (), self._suggest(query, visible, scope, tags, server))

    def close_names(
        self, name: str, allowed: AbstractSet[str] | None, limit: int = 3
    ) -> tuple[str, ...]:
        """Full names that look like a name nobody may call, visible ones only."""
        visible = self._names if allowed is None else sorted(allowed)
        return nearest(name[:200], visible, limit)

    def _none(self) -> Mask:
        return np.zeros(len(self._tools), dtype=np.bool_)

    def _mask(self, allowed: frozenset[str]) -> Mask:
        return np.fromiter(
            (name in allowed for name in self._names), np.bool_, len(self._names)
        )

    def _visible(self, allowed: AbstractSet[str] | None) -> Mask:
        return self._all if allowed is None else self._mask_of(frozenset(allowed))

    def _narrowed(self, visible: Mask, tags: Sequence[str], server: str | None) -> Mask:
        scope = visible
        for tag in tags:
            scope = scope & self._tagged.get(tag.casefold(), self._none())
        if server:
            scope = scope & (self._servers == server)
        return scope

    def _postings(self, term: str) -> NDArray[np.int32]:
        if self._bm25 is None or term not in self._bm25.vocab_dict:
            return np.zeros(0, dtype=np.int32)
        column = self._bm25.vocab_dict[term]
        start, end = self._bm25.scores["indptr"][column : column + 2]
        rows: NDArray[np.int32] = self._bm25.scores["indices"][start:end]
        return rows

    def _ranked(self, query: str, scope: Mask, limit: int) -> list[int]:
        wanted = [
            term
            for term in terms(query)
            if self._bm25 and term in self._bm25.vocab_dict
        ]
        if self._bm25 is None or not wanted:
            return []
        telling = set(terms(" ".join(w for w in words(query) if w not in COMMON)))
        matched = self._none()
        for term in telling or set(wanted):
            matched[self._postings(term)] = True
        rows = np.flatnonzero(matched & scope)
        if not len(rows):
            return []
        scores = self._bm25.get_scores(wanted)[rows]
        # Stable: equal scores stay in the order of full names.
        best = np.argsort(-scores, kind="stable")[:limit]
        return [int(row) for row in rows[best]]

    def _suggest(
        self,
        query: str,
        visible: Mask,
        scope: Mask,
        tags: Sequence[str],
        server: str | None,
    ) -> tuple[str, ...]:
        """What to try instead, drawn from visible tools only."""
        if not visible.any():
            return ("No tool is granted to this key: ask for a grant.",)
        lines: list[str] = []
        if scope is not visible and self._ranked(query, visible, 1):
            lines.append("Tools match without the server and tags: leave them out.")
        close = self._close_words(query, scope if scope.any() else visible)
        if close:
            lines.append(f"Close words: {', '.join(close)}")
        rows = np.flatnonzero(visible)
        servers = sorted({self._tools[row].server for row in rows})
        if not server or server not in servers:
            lines.append(f"Servers: {_some(servers)}")
        known = sorted({tag for row in rows for tag in self._tools[row].tags})
        if known and (tags or len(servers) == 1):
            lines.append(f"Tags: {_some(known)}")
        lines.append("One short query per step works best; an empty query lists tools.")
        return tuple(lines)

    def _close_words(self, query: str, scope: Mask) -> list[str]:
        known = sorted(self._vocabulary(np.flatnonzero(scope)))
        found: list[str] = []
        for word in dict.fromkeys(words(query)):
            if word not in COMMON:
                found += difflib.get_close_matches(word, known, n=2, cutoff=0.75)
        return list(dict.fromkeys(found))[:_MAX_SUGGESTIONS]

    def _vocabulary(self, rows: NDArray[np.int64]) -> set[str]:
        # Names, titles and tags only: words an agent can use, and few enough for
        # an edit distance. Stems would read badly.
        found: set[str] = set()
        for row in rows[:5000]:
            tool = self._tools[row]
            found.update(words(f"{tool.name} {tool.title} {' '.join(tool.tags)}"))
        return found


def nearest(name: str, known: Sequence[str], limit: int = 3) -> tuple[str, ...]:
    """Full names closest to a wrong one: the same tool elsewhere, then by letters."""
    tool = name.rpartition(".")[2]
    same = [one for one in known if tool and one.rpartition(".")[2] == tool]
    close = difflib.get_close_matches(name, known, n=limit)
    return tuple(dict.fromkeys([*same[:limit], *close]))[:limit]


def _some(names: Sequence[str], shown: int = 20) -> str:
    text = ", ".join(names[:shown])
    return f"{text} and {len(names) - shown} more" if len(names) > shown else text
