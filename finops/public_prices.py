"""Prices of models as the package ``genai-prices`` publishes them, as lines."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from genai_prices.data import providers
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from core.errors import Invalid
from core.money import multiply
from finops.model_usage import model_sku
from finops.price_plan import Line

SOURCE = f"genai-prices {version('genai-prices')}"
CURRENCY = "USD"
BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
_MILLIONTH = Decimal("0.000001")
# What has no price of its own costs what the whole costs that it is a part of.
_KEYS = {
    "input": ("input_mtok",),
    "cached_read": ("cache_read_mtok", "input_mtok"),
    "cache_write": ("cache_write_mtok", "input_mtok"),
    "output": ("output_mtok",),
    "reasoning": ("output_reasoning_mtok", "output_mtok"),
}


def provider_ids() -> list[str]:
    """Whose prices there are."""
    return sorted(provider.id for provider in providers)


def published(wanted: Sequence[str]) -> list[Line]:
    """The dated and hourly prices of these providers' models. Raises Invalid.

    Tiers by length of the prompt are given at their base price, prices by another
    unit than tokens and batch prices not at all.
    """
    unknown = set(wanted) - set(provider_ids())
    if unknown or not wanted:
        raise Invalid(
            f"Unknown provider {', '.join(sorted(unknown)) or '(none)'}: choose of "
            f"{', '.join(provider_ids())}."
        )
    found: dict[tuple[Any, ...], Line] = {}
    for provider in providers:
        if provider.id in wanted:
            for model in provider.models:
                for line in _of_model(provider.id, model):
                    found.setdefault((line.slot, line.valid_from), line)
    return list(found.values())


def _of_model(provider: str, model: ModelInfo) -> Iterator[Line]:
    prices = model.prices
    conditions = (
        [ConditionalPrice(prices=prices)] if isinstance(prices, ModelPrice) else prices
    )
    for index, condition in enumerate(conditions):
        start = _start(condition)
        # The last price that applies wins: a later entry ends this one.
        later = [
            _start(one)
            for one in conditions[index + 1 :]
            if not isinstance(one.constraint, TimeOfDateConstraint)
        ]
        end = min(later, default=None)
        if end is not None and end <= start:
            continue
        for kind, amount in _amounts(condition.prices):
            yield Line(
                sku=model_sku(provider, model.id, kind),
                unit="Tokens",
                amount=amount,
                currency=CURRENCY,
                valid_from=start,
                valid_to=end,
                daily_from=_hour(condition, "start_time"),
                daily_to=_hour(condition, "end_time"),
                source=SOURCE,
            )


def _amounts(prices: ModelPrice) -> Iterator[tuple[str, Decimal]]:
    for kind, keys in _KEYS.items():
        for key in keys:
            price = prices.__dict__.get(key)
            if price is not None:
                base = price.base if isinstance(price, TieredPrices) else price
                yield kind, multiply(Decimal(base), _MILLIONTH)
                break


def _start(condition: ConditionalPrice) -> datetime:
    if isinstance(condition.constraint, StartDateConstraint):
        day = condition.constraint.start_date
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    return BEGINNING


def _hour(condition: ConditionalPrice, name: str) -> time | None:
    if not isinstance(condition.constraint, TimeOfDateConstraint):
        return None
    value: time = getattr(condition.constraint, name)
    if value.tzinfo is None:
        return value
    day = datetime.combine(date(1970, 1, 1), value)
    return day.astimezone(UTC).time()
