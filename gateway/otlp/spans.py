"""Model usage in spans, as OpenTelemetry's GenAI conventions name it.

Present names come before former ones. Input includes what was read from and written to
a cache; output includes reasoning.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from core.errors import Invalid
from finops.model_usage import ModelUsage
from finops.told import Told, provider_name

# Operations of which each span is one answer. A span of an agent or a workflow sums
# those of its children, and counting it too would count them twice.
_ANSWERS = frozenset(
    ("chat", "text_completion", "generate_content", "embeddings", "completion")
)
_OPERATION = "gen_ai.operation.name"
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system")
_MODEL = ("gen_ai.response.model", "gen_ai.request.model")
_ASKED = ("gen_ai.request.model",)
_ANSWER_ID = ("gen_ai.response.id",)
_RUN, _TASK = ("tollgate.run",), ("tollgate.task",)
_TOKENS: Mapping[str, Sequence[str]] = {
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cached_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
    ),
    "cache_write": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
    ),
}
UNKNOWN_PROVIDER = "unknown"
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_NANOSECONDS = 253_402_300_799 * 10**9

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Found:
    """The answers in a request, and why spans with usage cannot be taken."""

    told: tuple[Told, ...]
    refused: tuple[str, ...]


def usage_in(request: ExportTraceServiceRequest) -> Found:
    """Every answer of a model; spans of other things are none, and no mistake."""
    told: list[Told] = []
    refused: list[str] = []
    for span, attributes in _answers(request):
        try:
            told.append(_told(span, attributes))
        except Invalid as error:
            refused.append(error.message)
    return Found(tuple(told), tuple(refused))


def _answers(
    request: ExportTraceServiceRequest,
) -> Iterator[tuple[Span, Mapping[str, Value]]]:
    """Spans with usage that have none below them: two layers may tell of one answer."""
    parents: dict[tuple[bytes, bytes], bytes] = {}
    answers: dict[tuple[bytes, bytes], tuple[Span, Mapping[str, Value]]] = {}
    for resource in request.resource_spans:
        shared = _attributes(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                place = (span.trace_id, span.span_id)
                parents[place] = span.parent_span_id
                own = _attributes(span.attributes)
                if _is_answer(own):
                    answers[place] = (span, shared | own)
    above = set()
    for trace, number in answers:
        parent = parents[trace, number]
        while parent and (trace, parent) not in above:
            above.add((trace, parent))
            parent = parents.get((trace, parent), b"")
    return (found for place, found in answers.items() if place not in above)


def _attributes(given: Sequence[KeyValue]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for one in given:
        kind = one.value.WhichOneof("value")
        if kind in ("string_value", "int_value", "double_value", "bool_value"):
            found[one.key] = getattr(one.value, kind)
    return found


def _is_answer(attributes: Mapping[str, Value]) -> bool:
    if not any(name in attributes for names in _TOKENS.values() for name in names):
        return False
    operation = attributes.get(_OPERATION)
    if operation is None:
        # Before operations had names, a span with a model was an answer.
        return bool(_text(attributes, _MODEL))
    return operation in _ANSWERS


def _told(span: Span, attributes: Mapping[str, Value]) -> Told:
    if len(span.trace_id) != 16 or len(span.span_id) != 8:
        raise Invalid("A span needs a trace id of 16 bytes and a span id of 8.")
    trace = span.trace_id.hex()
    if not 0 < span.end_time_unix_nano < _MOST_NANOSECONDS:
        raise Invalid("A span with usage needs the time of its end.")
    return Told(
        event=f"{trace}:{span.span_id.hex()}",
        provider=provider_name(_text(attributes, _PROVIDER) or UNKNOWN_PROVIDER),
        model=_text(attributes, _MODEL),
        asked_model=_text(attributes, _ASKED),
        usage=ModelUsage(
            **{kind: _number(attributes, names) for kind, names in _TOKENS.items()}
        ),
        at=_START + timedelta(microseconds=span.end_time_unix_nano // 1_000),
        run=_text(attributes, _RUN),
        task=_text(attributes, _TASK),
        trace_id=trace,
        answer=_text(attributes, _ANSWER_ID),
    )


def _text(attributes: Mapping[str, Value], names: Sequence[str]) -> str:
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _number(attributes: Mapping[str, Value], names: Sequence[str]) -> int | None:
    for name in names:
        value = attributes.get(name)
        if value is None:
            continue
        if isinstance(value, bool | str):
            raise Invalid(f"{name} is no number.")
        if not math.isfinite(value) or value % 1:
            raise Invalid(f"{name} is no whole number.")
        return int(value)
    return None
