"""What report_usage does: books the tokens of one answer of a model."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from core.clock import now
from core.errors import Invalid
from finops.models import UsageReport
from finops.told import told_from
from gateway.services.model_usage import report_usage
from policy.principal import Principal


def report(principal: Principal, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Book it, if it is not booked yet. Raises Invalid, NotFound."""
    at = now()
    values = {
        "trace_id": principal.trace_id,
        **arguments,
        "at": _time(arguments.get("at", "")) or at,
    }
    (found,) = report_usage(
        principal=principal,
        told=[told_from(values, at=at)],
        source=UsageReport.Source.MCP,
        at=at,
    )
    if found.error is not None:
        raise found.error
    answer: dict[str, Any] = {"id": found.event, "result": found.result}
    if found.booked is not None:
        cost = None if found.booked.unrated else str(found.booked.cost)
        answer |= {"cost": cost, "currency": found.booked.currency}
    return answer


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Invalid(
            f"{text[:60]!r} is no time: give at as 2026-04-01T10:00:00Z, or not."
        )
    return found
