"""What a budget covers and allows, as values."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.money import show
from finops.budgeting.windows import Calendar, Window

LEAST_RESERVED = Decimal("0.000001")
"""A run is never expected to cost nothing: else any number would fit a budget."""
EXPECTED_SHARE = Decimal("0.01")
"""Of the amount, what a run reserves while too few runs are known."""


@dataclass(frozen=True, slots=True)
class Cover:
    """A budget as it is held in memory: whose cost it counts, and in which windows.

    Empty scopes mean any. ``project`` is a slug within ``team``.
    """

    id: int
    name: str
    calendar: Calendar
    team: str = ""
    project: str = ""
    key: str = ""
    model: str = ""

    @property
    def scope(self) -> str:
        """Whose cost counts, in words."""
        return scope_words(
            team=self.team, project=self.project, key=self.key, model=self.model
        )

    def counts(self, *, team: str, project: str, key: str, model: str) -> bool:
        """Whether a cost of this team, project, key and model counts."""
        return (
            self.team in ("", team)
            and self.project in ("", project)
            and self.key in ("", key)
            and self.model in ("", model)
        )


def scope_words(*, team: str, project: str, key: str, model: str) -> str:
    """A scope in words: ``team sales, model qwen3``; else ``organization``."""
    given = {"team": team, "project": project, "key": key, "model": model}
    return ", ".join(f"{k} {v}" for k, v in given.items() if v) or "organization"


@dataclass(frozen=True, slots=True)
class Standing:
    """The figures of a budget's window when something was asked of it."""

    cover: Cover
    window: Window
    amount: Decimal
    limit: Decimal
    spent: Decimal
    held: Decimal
    asked: Decimal
    currency: str

    @property
    def left(self) -> Decimal:
        return max(self.limit - self.spent - self.held, Decimal(0))

    def details(self) -> dict[str, Any]:
        """What the caller is told, as the details of the error."""
        return {
            "budget": self.cover.id,
            "name": self.cover.name,
            "scope": self.cover.scope,
            "amount": plain(self.amount),
            "limit": plain(self.limit),
            "spent": plain(self.spent),
            "held": plain(self.held),
            "left": plain(self.left),
            "asked": plain(self.asked),
            "currency": self.currency,
            "window_start": self.window.start.isoformat(),
            "window_end": self.window.end.isoformat(),
        }

    def message(self, *, what: str = "run") -> str:
        """The refusal in words, with what to do."""
        unit = self.currency
        grace = self.limit - self.amount
        more = f" and {show(grace)} grace" if grace else ""
        return (
            f"The budget {self.cover.name!r} ({self.cover.scope}) of "
            f"{show(self.amount)} {unit}{more} has {show(self.left)} left; this "
            f"{what} needs {show(self.asked)}. Spent {show(self.spent)}, held by "
            f"runs under way {show(self.held)}. Its window ends at "
            f"{self.window.end:%Y-%m-%d %H:%M} UTC. Wait for that or until runs "
            "under way have ended, or ask finance to raise the budget."
        )


def plain(amount: Decimal) -> str:
    """An amount as JSON text without zeros at its end.

    >>> plain(Decimal("10.500000000000")), plain(Decimal("400"))
    ('10.5', '400')
    """
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ends_last(standings: list[Standing]) -> Standing:
    """The refusal that lasts longest: before it is over, no other matters."""
    return max(standings, key=_lasts)


def _lasts(standing: Standing) -> tuple[datetime, int]:
    return standing.window.end, -standing.cover.id
