"""Cutting results to size without breaking them, and paging through what was cut."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.codemode import paths, tokens
from gateway.codemode.paths import Step

MAX_DEPTH = 100
MIN_BYTES = 64
MAX_PAGE_BYTES = 40_000
# A part that must be cut gets at least this much, or is left out whole.
_LEAST = 32
MAX_PAGE_ITEMS = 1000
MORE_KEY = "..."
_MAX_CUTS = 10
_DEEPER = "... nested deeper"
_SCALARS = (str, bool, int, float, type(None))


@dataclass(frozen=True, slots=True)
class Cut:
    """One place that was shortened: `shown` of `total` items, keys or characters."""

    path: str
    what: str
    shown: int
    total: int


@dataclass(frozen=True, slots=True)
class Truncation:
    """What was left out of a value, for the agent to read."""

    message: str
    cuts: tuple[Cut, ...]
    original_bytes: int


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _size(value: Any) -> int:
    return len(_dump(value).encode(errors="surrogatepass"))


@dataclass(slots=True)
class _Shrinker:
    """Shrinks one value; sizes of its parts are measured once."""

    sizes: dict[int, int] = field(default_factory=dict)
    cuts: list[Cut] = field(default_factory=list)
    deep: bool = False

    def measure(self, value: Any, depth: int = 0) -> int:
        if isinstance(value, _SCALARS):
            return _size(value)
        if depth >= MAX_DEPTH:
            self.deep = True
            return len(_DEEPER) + 2
        known = self.sizes.get(id(value))
        if known is not None:
            return known
        total = 2 + max(0, len(value) - 1)
        if isinstance(value, dict):
            for key, item in value.items():
                total += _size(str(key)) + 1 + self.measure(item, depth + 1)
        else:
            total += sum(self.measure(item, depth + 1) for item in value)
        self.sizes[id(value)] = total
        return total

    def shrink(self, value: Any, budget: int, path: tuple[Step, ...] = ()) -> Any:
        """The value within `budget` bytes of JSON, at least its two brackets."""
        depth = len(path)
        if depth >= MAX_DEPTH and not isinstance(value, _SCALARS):
            return _DEEPER if budget >= len(_DEEPER) + 2 else None
        if self.measure(value, depth) <= budget and not self.deep:
            return value
        if isinstance(value, str):
            return self._string(value, budget, path)
        if isinstance(value, dict):
            return self._object(value, budget, path)
        if isinstance(value, (list, tuple)):
            return self._list(list(value), budget, path)
        return value if self.measure(value) <= budget else None

    def _note(self, path: tuple[Step, ...], what: str, shown: int, total: int) -> None:
        self.cuts.append(Cut(paths.show(path), what, shown, total))

    def _string(self, value: str, budget: int, path: tuple[Step, ...]) -> str:
        if self.measure(value) <= budget:
            return value

        def cut(kept: int) -> str:
            return f"{value[:kept]}... {len(value) - kept:,} more characters"

        kept = _most(len(value), lambda n: _size(cut(n)) <= budget)
        self._note(path, "characters", max(kept, 0), len(value))
        if kept < 0:
            return "..." if budget >= 5 else ""
        return cut(kept)

    def _list(self, items: list[Any], budget: int, path: tuple[Step, ...]) -> list[Any]:
        total = len(items)
        spare = _size(f"... {total:,} more items") + 1
        sizes = [self.measure(item, len(path) + 1) for item in items]
        if 2 + sum(sizes) + max(0, total - 1) <= budget:
            return [
                self.shrink(one, s, (*path, n)) for n, (one, s) in _sized(items, sizes)
            ]
        used, kept = 2 + spare, 0
        while kept < total and used + sizes[kept] + 1 <= budget:
            used += sizes[kept] + 1
            kept += 1
        # Depth alone may need cutting inside items that fit.
        found = [
            self.shrink(items[n], sizes[n], (*path, n)) if self.deep else items[n]
            for n in range(kept)
        ]
        if not kept and items and budget - used > MIN_BYTES:
            found.append(self.shrink(items[0], budget - used - 1, (*path, 0)))
            kept = 1
        self._note(path, "items", kept, total)
        if kept < total and 2 + spare <= budget:
            found.append(f"... {total - kept:,} more items")
        return found

    def _object(
        self, value: dict[str, Any], budget: int, path: tuple[Step, ...]
    ) -> dict[str, Any]:
        total = len(value)
        spare = _size(MORE_KEY) + 1 + _size(f"{total:,} more keys") + 1
        names = {key: _size(str(key)) + 2 for key in value}
        sizes = {key: self.measure(item, len(path) + 1) for key, item in value.items()}
        # Small values stay whole; what is left is shared among the large ones.
        left = budget - 2 - spare
        kept: dict[str, int] = {}
        waiting = sorted(value, key=lambda key: sizes[key])
        for number, key in enumerate(waiting):
            share = (left - sum(names[k] for k in waiting[number:])) // (total - number)
            given = min(sizes[key], max(share, min(sizes[key], _LEAST)))
            if given + names[key] > left:
                break
            kept[key] = given
            left -= given + names[key]
        found: dict[str, Any] = {}
        for key, item in value.items():
            if key in kept:
                found[key] = self.shrink(item, kept[key], (*path, str(key)))
        if len(found) < total:
            self._note(path, "keys", len(found), total)
            if 2 + spare <= budget:
                found[MORE_KEY] = f"{total - len(found):,} more keys"
        return found


def _sized(items: list[Any], sizes: list[int]) -> enumerate[tuple[Any, int]]:
    return enumerate(zip(items, sizes, strict=True))


def _most(high: int, fits: Callable[[int], bool]) -> int:
    """The largest n up to `high` that fits, -1 when not even 0 does."""
    low, best = 0, -1
    while low <= high:
        middle = (low + high) // 2
        if fits(middle):
            best, low = middle, middle + 1
        else:
            high = middle - 1
    return best


def fit(
    value: Any, *, max_tokens: int | None = None, max_bytes: int | None = None
) -> tuple[Any, Truncation | None]:
    """A JSON value within a budget, always whole JSON, and what was left out.

    Budgets are of compact JSON; a budget below 64 bytes counts as 64.
    """
    limit = max(max_bytes, MIN_BYTES) if max_bytes is not None else None
    if max_tokens is None:
        return (value, None) if limit is None else _fit_bytes(value, limit)
    # One token is hardly ever more than 16 bytes; counting starts from there.
    ceiling = max(max_tokens * 16, MIN_BYTES)
    limit = ceiling if limit is None else min(limit, ceiling)
    found, cut = _fit_bytes(value, limit)
    for _ in range(8):
        text = _dump(found)
        count = tokens.count(text)
        if count <= max_tokens or limit <= MIN_BYTES:
            break
        size = min(limit, len(text.encode(errors="surrogatepass")))
        limit = max(MIN_BYTES, int(size * max_tokens / count * 0.95))
        found, cut = _fit_bytes(value, limit)
    return found, cut


def _fit_bytes(value: Any, budget: int) -> tuple[Any, Truncation | None]:
    shrinker = _Shrinker()
    size = shrinker.measure(value)
    if size <= budget and not shrinker.deep:
        return value, None
    found = shrinker.shrink(value, budget)
    # The outermost cuts say most.
    shrinker.cuts.sort(key=lambda cut: (len(paths.parse(cut.path)), cut.path))
    cuts = tuple(shrinker.cuts[:_MAX_CUTS])
    return found, Truncation(_message(cuts, shrinker.deep), cuts, size)


def _message(cuts: tuple[Cut, ...], deep: bool) -> str:
    parts = [f"{c.path}: {c.shown:,} of {c.total:,} {c.what}" for c in cuts[:3]]
    if deep:
        parts.append(f"deeper than {MAX_DEPTH} levels")
    text = "; ".join(parts)
    hint = "Return less from the script, or page with get_run"
    paged = next((cut for cut in cuts if cut.what != "keys"), None)
    if paged is not None:
        hint += f' (path="{paged.path}", offset={paged.shown})'
    return f"Cut to fit: {text}. {hint}."


def page(
    value: Any,
    *,
    path: str = "$",
    offset: int = 0,
    limit: int = 100,
    max_bytes: int = MAX_PAGE_BYTES,
) -> dict[str, Any]:
    """A slice of a list (items), object (keys) or string (characters) at a path.

    Fewer than `limit` come back where they would not fit; `next_offset` says where
    to go on. Raises NotFound and Invalid for the path.
    """
    part = paths.find_value(value, path)
    answer: dict[str, Any] = {"path": paths.show(paths.parse(path))}
    offset, limit = max(offset, 0), max(1, min(limit, MAX_PAGE_ITEMS))
    shown: Any
    if isinstance(part, str):
        end = _text_end(part, offset, max_bytes)
        shown = part[offset:end]
    elif isinstance(part, list):
        end = _end([("", item) for item in part], offset, limit, max_bytes)
        shown = part[offset:end]
    elif isinstance(part, dict):
        pairs = list(part.items())
        end = _end(pairs, offset, limit, max_bytes)
        shown = dict(pairs[offset:end])
    else:
        return answer | {"value": part}
    fitted, cut = fit(shown, max_bytes=max_bytes)
    answer |= {"total": len(part), "offset": offset, "value": fitted}
    answer["next_offset"] = end if end < len(part) else None
    if cut is not None:
        answer["truncated"] = "An item is too long: give its own path."
    return answer


def _end(pairs: list[tuple[str, Any]], offset: int, limit: int, max_bytes: int) -> int:
    """Where a page ends: at least one item on, however long that is."""
    end, used, shrinker = offset, 2, _Shrinker()
    for key, item in pairs[offset : offset + limit]:
        used += _size(key) + 2 + shrinker.measure(item)
        if used > max_bytes and end > offset:
            break
        end += 1
    return end


def _text_end(text: str, offset: int, max_bytes: int) -> int:
    length = _most(
        min(len(text) - offset, max_bytes),
        lambda n: _size(text[offset : offset + n]) <= max_bytes,
    )
    return offset + max(length, 0)
