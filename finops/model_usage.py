"""Tokens of a model's answer, taken apart so that none is counted twice."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from core.errors import Invalid

_UNFIT = re.compile(r"[^A-Za-z0-9_.:/-]")


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """What a model reports of one answer; None is "not said", which is not 0.

    As the OpenTelemetry GenAI conventions say, ``input`` includes what was read from
    and written to a cache, and ``output`` includes ``reasoning``.
    """

    input: int | None = None
    output: int | None = None
    cached_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None

    def parts(self) -> Iterator[tuple[str, Decimal]]:
        """Each kind of token with its own number; their sum is input + output.

        Raises Invalid where a part is more than its whole.
        """
        cached, written = self.cached_read or 0, self.cache_write or 0
        reasoned = self.reasoning or 0
        whole_in = cached + written if self.input is None else self.input
        whole_out = reasoned if self.output is None else self.output
        found = {
            "input": whole_in - cached - written,
            "cached_read": cached,
            "cache_write": written,
            "output": whole_out - reasoned,
            "reasoning": reasoned,
        }
        for kind, number in found.items():
            if number < 0:
                raise Invalid(
                    f"The {kind} tokens would be {number}: input includes cache reads "
                    "and writes, output includes reasoning, and none is negative."
                )
            if number:
                yield kind, Decimal(number)


def model_sku(provider: str, model: str, kind: str) -> str:
    """``model/<provider>/<model>/<token kind>``; other characters become ``-``."""
    named = f"model/{provider}/{model}"
    return f"{_UNFIT.sub('-', named)[: 199 - len(kind)]}/{kind}"
