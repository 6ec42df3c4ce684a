"""Why a cost changed: volume, rate and mix, which add up to the whole change.

A price-volume-mix analysis as standard costing has it (C. T. Horngren, S. M. Datar and
M. V. Rajan, *Cost Accounting*, sales-quantity, sales-mix and price variances). For the
items *i* (SKUs) of a group with quantities q, costs c and an activity A:

    volume = Σ c0 × (A1 ÷ A0 - 1)        more of the same, at the old unit cost
    rate   = Σ c1 - q1 × (c0 ÷ q0)       the same things, dearer
    mix    = Σ c1 - c0 - volume - rate   other things, or more of them an activity

Volume is at old prices and rate at new quantities, so nothing is left between them. An
item without a quantity in one of the two has no change of price: it is mix.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from core.money import PLACES, total

_STEP = Decimal(1).scaleb(-PLACES)
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_NONE = Decimal(0)


@dataclass(frozen=True, slots=True)
class Item:
    """What one SKU of a group took in a window: priced quantity and its cost."""

    quantity: Decimal
    cost: Decimal


NOTHING = Item(_NONE, _NONE)


@dataclass(frozen=True, slots=True)
class Window:
    """A group in one window. ``activities`` counts by measure: calls, runs, tokens."""

    items: Mapping[str, Item]
    activities: Mapping[str, Decimal]

    @property
    def cost(self) -> Decimal:
        return total(item.cost for item in self.items.values())


EMPTY = Window({}, {})


@dataclass(frozen=True, slots=True)
class Part:
    """How one SKU adds to a group's change."""

    sku: str
    volume: Decimal
    rate: Decimal
    mix: Decimal


@dataclass(frozen=True, slots=True)
class Mover:
    """Why the cost of a group changed. ``measure`` is "" where no activity compares.

    ``now - before == volume + rate + mix``, to the last digit, for it and its parts.
    """

    key: str
    before: Decimal
    now: Decimal
    measure: str
    activity_before: Decimal
    activity_now: Decimal
    parts: tuple[Part, ...]

    @property
    def change(self) -> Decimal:
        return _less(self.now, self.before)

    @property
    def volume(self) -> Decimal:
        return total(part.volume for part in self.parts)

    @property
    def rate(self) -> Decimal:
        return total(part.rate for part in self.parts)

    @property
    def mix(self) -> Decimal:
        return total(part.mix for part in self.parts)


def mover(
    key: str, before: Window, now: Window, *, measures: Sequence[str] = ()
) -> Mover:
    """The change of one group; the first of ``measures`` in both windows is its volume.

    Where the group is new or gone, all of its change is volume.
    """
    appeared = not before.items or not now.items
    both = [] if appeared else [one for one in measures if _in_both(one, before, now)]
    measure = both[0] if both else ""
    first, last = _activity(before, measure), _activity(now, measure)
    skus = sorted({*before.items, *now.items})
    parts = []
    for sku in skus:
        old = before.items.get(sku, NOTHING)
        new = now.items.get(sku, NOTHING)
        change = _less(new.cost, old.cost)
        if appeared:
            parts.append(Part(sku, change, _NONE, _NONE))
            continue
        volume = _share(old.cost, _less(last, first), first) if measure else _NONE
        rate = _rate(old, new)
        parts.append(Part(sku, volume, rate, _less(_less(change, volume), rate)))
    return Mover(key, before.cost, now.cost, measure, first, last, tuple(parts))


def movers(
    before: Mapping[str, Window],
    now: Mapping[str, Window],
    *,
    measures: Sequence[str] = (),
) -> list[Mover]:
    """Every group of either window, the largest change first."""
    found = [
        mover(key, before.get(key, EMPTY), now.get(key, EMPTY), measures=measures)
        for key in {*before, *now}
    ]
    return sorted(found, key=lambda one: (-abs(one.change), one.key))


def together(key: str, found: Iterable[Mover]) -> Mover:
    """The change of several groups as the sum of their effects."""
    parts: dict[str, Part] = {}
    before = now = _NONE
    for one in found:
        before, now = total((before, one.before)), total((now, one.now))
        for part in one.parts:
            held = parts.get(part.sku, Part(part.sku, _NONE, _NONE, _NONE))
            parts[part.sku] = Part(
                part.sku,
                total((held.volume, part.volume)),
                total((held.rate, part.rate)),
                total((held.mix, part.mix)),
            )
    return Mover(key, before, now, "", _NONE, _NONE, tuple(parts.values()))


def _in_both(measure: str, before: Window, now: Window) -> bool:
    return _activity(before, measure) > 0 and _activity(now, measure) > 0


def _activity(window: Window, measure: str) -> Decimal:
    return window.activities.get(measure, _NONE)


def _rate(old: Item, new: Item) -> Decimal:
    if old.quantity <= 0 or new.quantity <= 0:
        return _NONE
    return _less(new.cost, _share(old.cost, new.quantity, old.quantity))


def _less(amount: Decimal, other: Decimal) -> Decimal:
    """The difference; a bare minus would round to 28 digits."""
    return _EXACT.subtract(amount, other)


def _share(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """``cost × part ÷ whole``, kept to the places of the ledger."""
    exact = _EXACT.divide(_EXACT.multiply(cost, part), whole)
    return _EXACT.quantize(exact, _STEP)
