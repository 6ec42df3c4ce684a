"""Why a cost changed, in one line: “+12.40 USD: 1,200 more calls (+9.10), …”."""

from decimal import Decimal

from core.money import signed
from finops.movers import Mover, Part

_MEASURES = {
    "calls": ("call", "calls"),
    "runs": ("run", "runs"),
    "model_tokens": ("model token", "model tokens"),
    "quantity": ("unit", "units"),
}
_TOKEN_KINDS = {
    "input": "fresh input tokens",
    "cached_read": "cached input tokens",
    "cache_write": "cache writes",
    "output": "output tokens",
    "reasoning": "reasoning tokens",
}
_SKUS = {
    "sandbox/cpu": "sandbox CPU time",
    "sandbox/memory": "sandbox memory",
    "tokens/definitions": "tokens of definitions",
    "tokens/result": "tokens of results",
    "tokens/script": "tokens of scripts",
}
# A sum of many effects is told by those that make it: at most so many are named.
_MOST_NAMED = 2


def sku_words(sku: str) -> str:
    """A SKU as people speak of it: “output tokens of gpt-x”, “calls of crm.list”."""
    if sku in _SKUS:
        return _SKUS[sku]
    area, _, rest = sku.partition("/")
    if area == "tool":
        return f"calls of {rest}"
    if area == "model" and rest.count("/") >= 2:
        model, _, kind = rest.partition("/")[2].rpartition("/")
        return f"{_TOKEN_KINDS.get(kind, kind)} of {model}"
    return sku


def why(mover: Mover, currency: str) -> str:
    """The change and its effects, the largest first; nothing that is nothing."""
    if not mover.change and not any((mover.volume, mover.rate, mover.mix)):
        return "no change"
    effects = [
        (mover.volume, volume_words(mover)),
        (mover.rate, rate_words(mover)),
        (mover.mix, mix_words(mover)),
    ]
    told = [
        f"{words} ({signed(amount)})"
        for amount, words in sorted(effects, key=lambda one: -abs(one[0]))
        if amount
    ]
    return f"{signed(mover.change)} {currency}: {', '.join(told)}"


def volume_words(mover: Mover) -> str:
    """“1,200 more calls”; “new” or “gone” where there is nothing to compare with."""
    if not mover.measure:
        return "new" if not mover.before else "gone" if not mover.now else "volume"
    difference = mover.activity_now - mover.activity_before
    one, many = _MEASURES[mover.measure]
    count = abs(difference)
    shown = f"{count:,.0f}" if count >= 1 or not count else f"{count:,.3f}"
    more = "more" if difference > 0 else "fewer"
    return f"{shown} {more} {one if count == 1 else many}"


def rate_words(mover: Mover) -> str:
    """“dearer output tokens of gpt-x”."""
    direction = "dearer" if mover.rate > 0 else "cheaper"
    return f"{direction} {_named(mover, 'rate')}".strip()


def mix_words(mover: Mover) -> str:
    """“mix: more calls of crm.export”."""
    named = _named(mover, "mix")
    more = "more" if mover.mix > 0 else "less"
    return f"mix: {more} {named}" if named else "mix"


def _named(mover: Mover, effect: str) -> str:
    """The SKUs that make an effect, those that go its way, the largest first."""

    def amount(part: Part) -> Decimal:
        value: Decimal = getattr(part, effect)
        return value

    whole: Decimal = getattr(mover, effect)
    same_way = [part for part in mover.parts if amount(part) * whole > 0]
    same_way.sort(key=lambda part: (-abs(amount(part)), part.sku))
    names = [sku_words(part.sku) for part in same_way[:_MOST_NAMED]]
    more = len(same_way) - len(names)
    if more:
        names.append(f"{more} more")
    return " and ".join(names)
