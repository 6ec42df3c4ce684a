"""How sure a share is."""

import math

# The 97.5th percentile of the normal distribution: an interval of 95 %.
_Z = 1.959963984540054


def wilson(successes: int, trials: int) -> tuple[float, float] | None:
    """Wilson's 95 % score interval of a share (E. B. Wilson, 1927); None of nothing."""
    if trials <= 0:
        return None
    share = successes / trials
    spread = _Z * _Z / trials
    middle = share + spread / 2
    reach = _Z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low = max(0.0, (middle - reach) / (1 + spread))
    high = min(1.0, (middle + reach) / (1 + spread))
    return (0.0 if successes == 0 else low, 1.0 if successes == trials else high)
