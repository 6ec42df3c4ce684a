"""What a run may spend on calls with what it holds of its budgets."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from threading import Lock

from audit.services.record import ALLOW
from finops.budgeting.terms import Cover
from finops.price_book import PriceBook
from finops.services import budgets
from finops.services.prices import current_book
from gateway.models import ToolCall

_FRESH_SECONDS = 1.0


class Allowance:
    """What of a run's hold its calls have used, by the known prices of tools.

    It lives in the worker that holds the run: nobody else makes its calls. Within the
    hold a call costs no statement; beyond it the hold has to grow, or the call is
    refused. A run that holds of no budget asks for nothing.
    """

    def __init__(self, held: Decimal | None = None) -> None:
        self._held = held
        self._spent = Decimal(0)
        self._lock = Lock()
        self._book: PriceBook | None = None
        self._read_at = float("-inf")

    @classmethod
    def of(
        cls,
        run: str,
        calls: Iterable[ToolCall],
        *,
        covers: Sequence[Cover],
        at: datetime,
    ) -> "Allowance":
        """From what the run holds and its journal; no query where no budget covers."""
        allowance = cls(budgets.held_by(run) if covers else None)
        if allowance._held is not None:
            for call in calls:
                if call.decision == ALLOW:
                    allowance._spent += allowance._price(call.tool, at)
        return allowance

    @contextmanager
    def taken(self, tool: str, at: datetime) -> Iterator[Decimal | None]:
        """Count a call of this tool, unless what is done within fails.

        Gives what the run has to hold for it in all, or None where it holds enough.
        """
        if self._held is None:
            yield None
            return
        price = self._price(tool, at)
        with self._lock:
            self._spent += price
            needed = self._spent
        try:
            yield needed if needed > self._held else None
        except BaseException:
            with self._lock:
                self._spent -= price
            raise

    def grow(
        self, needed: Decimal, *, run: str, covers: Sequence[Cover], at: datetime
    ) -> None:
        """Hold at least ``needed``, in the running transaction.

        Raises BudgetExceeded.
        """
        budgets.extend(holder=run, needed=needed, covers=covers, at=at)
        self._held = budgets.held_by(run)

    def _price(self, tool: str, at: datetime) -> Decimal:
        """What a call of it costs; 0 where no price is known, which the bill says."""
        if self._book is None or time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._book, self._read_at = current_book(), time.monotonic()
        rate = self._book.rate(f"tool/{tool}", unit="Requests", at=at)
        return rate.amount if rate else Decimal(0)
