"""Deployments and changes on a chart, and in the list below it."""

from collections.abc import Sequence

from core.period import Period
from finops.figures import Figure, with_marks
from finops.selectors.marks import Mark


def marked(figure: Figure, found: Sequence[Mark], period: Period) -> Figure:
    """The figure with a line at each bucket in which something happened."""
    places = [(period.local(period.bucket_of(mark.at)), mark.text) for mark in found]
    return with_marks(figure, places)
