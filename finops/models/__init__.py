"""Usage, prices and the facts that reports are made of."""

from finops.models.facts import RunFact
from finops.models.ledger import UsageEvent
from finops.models.prices import Price

__all__ = ["Price", "RunFact", "UsageEvent"]
