"""A model's answer as somebody told of it, before it is believed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from core.errors import Invalid
from finops.model_usage import ModelUsage

# Names of OpenTelemetry's GenAI conventions, present and former, as the price book
# (and genai-prices) has them.
_PROVIDERS = {
    "aws.bedrock": "aws",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "vertex_ai": "google",
    "x_ai": "x-ai",
    "xai": "x-ai",
}
_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")
LONGEST_EVENT = 200
LONGEST_NAME = 100
MOST_TOKENS = 1_000_000_000
"""More than any model reads or writes at once: a mistake in the report."""
SKEW = timedelta(minutes=5)
"""How far the clock of whoever tells may be ahead."""


@dataclass(frozen=True, slots=True)
class Told:
    """The usage of one answer. ``event`` names it for good within its team.

    ``at`` is when the model answered. ``asked_model`` is the name that the request
    had, where the answer has another: its price is taken where that has none.
    ``run``, ``task`` and ``trace_id`` say what the answer was for, as far as is known.
    ``answer`` is the model server's own id of it, by which one is known again that was
    metered here already.
    """

    event: str
    provider: str
    model: str
    usage: ModelUsage
    at: datetime
    known: str = "reported"
    asked_model: str = ""
    run: str = ""
    task: str = ""
    trace_id: str = ""
    answer: str = ""


def provider_name(name: str) -> str:
    """A provider as the price book names it."""
    plain = name.strip().lower()
    return _PROVIDERS.get(plain, plain)


def check(told: Told, *, at: datetime, days: int) -> None:
    """Refuse what cannot be booked: names, time, numbers. Raises Invalid.

    ``days`` is how old a report may be at most.
    """
    _check_name("id", told.event, LONGEST_EVENT)
    _check_name("provider", told.provider, LONGEST_NAME)
    _check_name("model", told.model, LONGEST_NAME)
    if told.asked_model:
        _check_name("model", told.asked_model, LONGEST_NAME)
    if told.answer:
        _check_name("answer", told.answer, LONGEST_EVENT)
    check_work(told)
    _check_time(told.at, at, days)
    _check_numbers(told.usage)


def check_work(told: Told) -> None:
    """Refuse names of work that cannot be. Raises Invalid."""
    for field, text in (("run", told.run), ("task", told.task)):
        if text:
            _check_name(field, text, LONGEST_EVENT)
    if told.trace_id and not _TRACE.fullmatch(told.trace_id):
        raise Invalid(
            "Give the trace id as 32 lower-case hexadecimal digits, not all 0.",
            details={"field": "trace_id"},
        )


def _check_name(field: str, text: str, most: int) -> None:
    if not text.strip() or len(text) > most or not text.isprintable():
        raise Invalid(
            f"Give the {field} as 1 to {most} printable characters.",
            details={"field": field},
        )


def _check_time(happened: datetime, at: datetime, days: int) -> None:
    if happened > at + SKEW:
        raise Invalid(
            f"{happened.isoformat()} is in the future: set the clock right, or send "
            "the time at which the model answered, with its time zone.",
            details={"field": "at"},
        )
    if happened < at - timedelta(days=days):
        raise Invalid(
            f"{happened.isoformat()} is more than {days} days ago, which is as late as "
            "usage may be reported (TOLLGATE_USAGE_DAYS).",
            details={"field": "at"},
        )


def _check_numbers(usage: ModelUsage) -> None:
    told = (
        usage.input,
        usage.output,
        usage.cached_read,
        usage.cache_write,
        usage.reasoning,
    )
    if all(number is None for number in told):
        raise Invalid(
            "There are no tokens: give input and output as the model reported them."
        )
    if any(number is not None and number > MOST_TOKENS for number in told):
        raise Invalid(f"One answer has at most {MOST_TOKENS:,} tokens of a kind.")
    list(usage.parts())


def told_from(values: Mapping[str, Any], *, at: datetime) -> Told:
    """A report in the words of REST and MCP; ``at`` where it gives no time itself."""
    counts = {field.name: values.get(field.name) for field in fields(ModelUsage)}
    return Told(
        event=values["id"],
        provider=provider_name(values["provider"]),
        model=values["model"],
        usage=ModelUsage(**counts),
        at=values.get("at") or at,
        known=values.get("known", "reported"),
        run=values.get("run", ""),
        task=values.get("task", ""),
        trace_id=values.get("trace_id", ""),
    )
