"""Money: an exact amount with its currency."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from core.errors import Invalid

# Amounts are kept to 12 places: rounding to 6 turned a million calls at 0.0000004
# into nothing.
PLACES = 12
_STEP = Decimal(1).scaleb(-PLACES)
# Wide enough for the exact product of two numeric(28, 12).
_EXACT = Context(prec=60, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that is never rounded before it is shown."""

    amount: Decimal
    currency: str

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise Invalid(
                f"Cannot add {other.currency} to {self.currency}: convert first."
            )
        return Money(total((self.amount, other.amount)), self.currency)

    def __str__(self) -> str:
        return f"{show(self.amount)} {self.currency}"


def multiply(quantity: Decimal, price: Decimal) -> Decimal:
    """The cost of ``quantity`` at ``price``, kept to 12 places."""
    return _EXACT.quantize(_EXACT.multiply(quantity, price), _STEP)


def total(amounts: Iterable[Decimal]) -> Decimal:
    """The sum, exact to the last digit whatever the size of the amounts."""
    result = Decimal(0)
    for amount in amounts:
        result = _EXACT.add(result, amount)
    return result


def places(amount: Decimal) -> int:
    """Decimals to read an amount by: two from one up, else three significant digits."""
    if amount == 0 or abs(amount) >= 1:
        return 2
    return min(PLACES, max(2, 2 - amount.adjusted()))


def plain(amount: Decimal) -> str:
    """All digits of a number, without an exponent or trailing zeros."""
    text = f"{amount:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"", "-0"} else text


def trimmed(amount: Decimal) -> Decimal:
    """The number without trailing zeros, as files show it."""
    return Decimal(plain(amount))


def signed(amount: Decimal) -> str:
    """A change with its sign."""
    if not amount:
        return "±0"
    return f"{'+' if amount > 0 else '−'}{show(abs(amount))}"


def show(amount: Decimal, *, decimals: int | None = None) -> str:
    """An amount as people read it; a column of them has the same ``decimals``.

    What is not nothing never reads as 0.
    """
    if decimals is None:
        whole, _, fraction = f"{amount:,.{places(amount)}f}".partition(".")
        return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
    least = Decimal(1).scaleb(-decimals)
    if 0 < abs(amount) < least / 2:
        return f"< {least:f}"
    return f"{amount:,.{decimals}f}"
