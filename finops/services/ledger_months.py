"""The ledger's months: a partition each, made ahead of time."""

from core import partitions

MONTHS_AHEAD = 6


def make_ahead() -> int:
    """Make the partitions of this and the coming months; how many were missing."""
    return partitions.make_ahead("finops", months=MONTHS_AHEAD)


def rows_outside() -> int:
    """How many rows lie in no month's partition, counted up to 1,000."""
    return partitions.rows_outside("finops_usageevent")
