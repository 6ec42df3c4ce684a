"""When a message that did not arrive is tried again, and when it is given up."""

import random
from datetime import timedelta

# Eight hours in all, as a receiver's bad night may last.
PAUSES = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400)
MOST_ATTEMPTS = len(PAUSES) + 1
_JITTER = 0.2


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts, fewer than ``MOST_ATTEMPTS``."""
    spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
    return timedelta(seconds=PAUSES[attempts - 1] * spread)
