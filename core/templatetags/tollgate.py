"""Filters that every template may use."""

from datetime import datetime
from decimal import Decimal

from django import template

from core import money as _money

register = template.Library()


@register.filter
def seconds(value: float | None) -> str:
    """A duration in the unit that fits: 840 µs, 12 ms, 3.4 s, 2 min 5 s."""
    if value is None:
        return "–"
    if value < 0.001:
        return f"{value * 1_000_000:.0f} µs"
    if value < 1:
        return f"{value * 1_000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


@register.filter
def money(value: Decimal | None, currency: str = "") -> str:
    """An amount as people read it; "unrated" where no price is known."""
    if value is None:
        return "unrated"
    return f"{_money.show(value)} {currency}".strip()


@register.filter
def utc(value: datetime | None) -> str:
    """A point in time with its zone named."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else "–"
