"""Splits amounts so that the parts add up to the last digit; pure."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from math import floor

RATIO_PLACES = 18
# Decimals of the smallest coin, where they are not two (ISO 4217).
_OTHER_PLACES = (
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
)
_PLACES = {
    currency: places
    for places, currencies in _OTHER_PLACES
    for currency in currencies.split()
}


def minor_places(currency: str) -> int:
    """How many decimals an amount to pay has in this currency."""
    return _PLACES.get(currency, 2)


def split(
    amount: Decimal, weights: Sequence[Decimal], *, places: int
) -> tuple[Decimal, ...]:
    """Parts of ``amount`` by weight that add up to it, each with ``places`` decimals.

    What does not divide goes to the largest remainders, the first of equals first; a
    weight of 0 gets nothing. The parts of −x are those of x with another sign, so that
    what is taken back cancels. Raises ValueError where no weight is above 0, one is
    below, or the amount has more decimals.
    """
    if any(weight < 0 for weight in weights) or not any(weights):
        raise ValueError("weights are from 0 up, and one of them above it")
    units = _units(abs(amount), places)
    whole = sum(map(Fraction, weights), Fraction(0))
    parts = _apportion([units * Fraction(one) / whole for one in weights], units)
    sign = -1 if amount < 0 else 1
    return tuple(Decimal(sign * part).scaleb(-places) for part in parts)


def ratios(weights: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """The share of each weight; together they are 1."""
    return split(Decimal(1), weights, places=RATIO_PLACES)


def rounded(amount: Decimal, *, places: int) -> Decimal:
    """An amount to pay: halves go away from 0, as on every invoice."""
    scaled = abs(Fraction(amount)) * 10**places
    units = floor(scaled + Fraction(1, 2))
    return Decimal(-units if amount < 0 else units).scaleb(-places)


def round_all(
    amounts: Sequence[Decimal], whole: Decimal, *, places: int
) -> tuple[Decimal, ...]:
    """Each amount rounded up or down, so that together they are ``whole``.

    ``whole`` is what the sum of the amounts is rounded to, either way.
    """
    scaled = [Fraction(amount) * 10**places for amount in amounts]
    parts = _apportion(scaled, _units(whole, places))
    return tuple(Decimal(part).scaleb(-places) for part in parts)


def _apportion(amounts: Sequence[Fraction], whole: int) -> list[int]:
    """Floors, and one more for the largest remainders until they are ``whole``."""
    parts = [floor(amount) for amount in amounts]
    left = whole - sum(parts)
    if not 0 <= left <= len(parts):
        raise ValueError("the whole is not what the amounts add up to")
    order = sorted(range(len(parts)), key=lambda index: parts[index] - amounts[index])
    for index in order[:left]:
        parts[index] += 1
    return parts


def _units(amount: Decimal, places: int) -> int:
    scaled = Fraction(amount) * 10**places
    if scaled.denominator != 1:
        raise ValueError(f"{amount} has more than {places} decimals")
    return int(scaled)
