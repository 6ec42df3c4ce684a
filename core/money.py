"""Money: an exact amount with its currency."""

from dataclasses import dataclass
from decimal import Decimal

from core.errors import Invalid


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
        return Money(self.amount + other.amount, self.currency)

    def __str__(self) -> str:
        return f"{show(self.amount)} {self.currency}"


def show(amount: Decimal) -> str:
    """Two decimals from a cent up; below it, three significant digits."""
    if amount == 0 or abs(amount) >= Decimal("0.01"):
        return f"{amount:,.2f}"
    places = min(12, 2 - amount.adjusted())
    return f"{amount:.{places}f}".rstrip("0")
