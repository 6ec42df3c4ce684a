"""Ways to a receiver. Each sends a batch whole, or says that it may not have."""

from collections.abc import Sequence
from typing import Protocol

from audit.formats.items import Item


class Transport(Protocol):
    """A receiver of one sink, used by one thread."""

    def send(self, items: Sequence[Item]) -> None:
        """Hand the batch over, and return once the receiver has it.

        Raises core.outgoing.NotDelivered; ``final`` says that the receiver refused
        what one of these items is, and would do so again.
        """
