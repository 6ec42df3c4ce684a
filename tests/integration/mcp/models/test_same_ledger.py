"""The same answers give the same ledger, whichever way they came, and once each.

The clients are ordinary ones: OpenAI's, and OpenTelemetry's SDK with its exporter.
"""

import base64
import time
from collections.abc import Sequence
from typing import Any

import httpx2
import openai
import pytest
from google.protobuf import json_format
from openai.types import CompletionUsage
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from core.clock import now
from finops.models import UsageEvent, UsageReport
from gateway.models import Run
from tests.integration.mcp.models.asking import ASKED, last_call
from tests.integration.mcp.world import World
from tests.model_server import ModelServerOnLoopback

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:openai")
SAME = (
    *("kind", "sku", "unit", "quantity", "cost", "currency", "price", "model"),
    *("token_kind", "team", "cost_centre", "project", "environment", "principal"),
    *("run", "task"),
)
_IDS = ("traceId", "spanId", "parentSpanId")


class JsonExporter(SpanExporter):
    """Sends spans as OTLP's JSON, whose ids are hexadecimal; the SDK's has no JSON."""

    def __init__(self, endpoint: str, headers: dict[str, str]):
        self._endpoint, self._headers = endpoint, headers

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        body = json_format.MessageToDict(encode_spans(spans))
        for resource in body["resourceSpans"]:
            for span in (s for one in resource["scopeSpans"] for s in one["spans"]):
                span |= {
                    name: base64.b64decode(span[name]).hex()
                    for name in _IDS
                    if name in span
                }
        answer = httpx2.post(self._endpoint, json=body, headers=self._headers)
        sent = answer.status_code == 200 and answer.json() == {}
        return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE


class Twice(SpanExporter):
    """Exports everything twice, as after an answer that was lost; keeps the results."""

    def __init__(self, to: SpanExporter):
        self.to = to
        self.results: list[SpanExportResult] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.results += [self.to.export(spans), self.to.export(spans)]
        return self.results[-1]


@pytest.fixture(scope="module")
def run(world: World, key: str) -> str:
    """The run that all the answers are for."""
    return str(world.stack.execute(key, "return 1")["run"])


@pytest.fixture
def asked(world: World, client: openai.OpenAI, run: str) -> tuple[str, CompletionUsage]:
    """An answer that passed through, by its id, with what its server says it took."""
    answer = client.chat.completions.create(
        model="orchid", messages=ASKED, extra_headers={"X-Tollgate-Run": run}
    )
    assert answer.usage is not None
    return answer.id, answer.usage


def ledger(world: World, event: str) -> list[tuple[Any, ...]]:
    """The rows of one answer, without the name of it, when, and how it is known."""
    with world.stack.database():
        (told,) = UsageReport.objects.filter(event=event)
        rows = UsageEvent.objects.filter(uid__startswith=f"usage:{told.pk}:")
        assert {row.known for row in rows} == {told.known}
        return sorted(rows.values_list(*SAME))


def count(world: World) -> tuple[int, int]:
    with world.stack.database():
        return UsageReport.objects.count(), UsageEvent.objects.count()


def as_item(name: str, used: CompletionUsage, **fields: Any) -> dict[str, Any]:
    """What REST and MCP are told of an answer."""
    assert used.prompt_tokens_details is not None
    assert used.completion_tokens_details is not None
    return {
        "id": name,
        "at": now().isoformat(),
        "provider": "acme",
        "model": "orchid",
        "input": used.prompt_tokens,
        "cached_read": used.prompt_tokens_details.cached_tokens,
        "output": used.completion_tokens,
        "reasoning": used.completion_tokens_details.reasoning_tokens,
        **fields,
    }


def tell(world: World, key: str, *items: dict[str, Any]) -> Any:
    answer = httpx2.post(
        f"{world.stack.url}/api/v1/usage/",
        json={"items": items},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def exporter(world: World, key: str, form: str) -> SpanExporter:
    endpoint = f"{world.stack.url}/otlp/v1/traces"
    headers = {"Authorization": f"Bearer {key}"}
    if form == "json":
        return JsonExporter(endpoint, headers)
    return OTLPSpanExporter(endpoint=endpoint, headers=headers)


def trace(to: SpanExporter, used: CompletionUsage, run: str, **more: str) -> str:
    """An agent's span with the model's below it, as the SDK sends them; its event."""
    assert used.prompt_tokens_details is not None
    assert used.completion_tokens_details is not None
    tokens: dict[str, str | int] = {
        "gen_ai.usage.input_tokens": used.prompt_tokens,
        "gen_ai.usage.output_tokens": used.completion_tokens,
    }
    parts: dict[str, str | int] = {
        "gen_ai.usage.cache_read.input_tokens": used.prompt_tokens_details.cached_tokens
        or 0,
        "gen_ai.usage.reasoning.output_tokens": (
            used.completion_tokens_details.reasoning_tokens or 0
        ),
    }
    provider = TracerProvider(resource=Resource({"tollgate.run": run}))
    provider.add_span_processor(SimpleSpanProcessor(to))
    tracer = provider.get_tracer("an agent")
    agent: dict[str, str | int] = {"gen_ai.operation.name": "invoke_agent", **tokens}
    names: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "orchid",
        "gen_ai.response.model": "orchid-large",
    }
    with tracer.start_as_current_span("invoke_agent", attributes=agent):
        span = tracer.start_span(
            "chat", attributes={**names, **tokens, **parts, **more}
        )
        span.end()
    provider.shutdown()
    context = span.get_span_context()
    return f"{context.trace_id:032x}:{context.span_id:016x}"


def test_every_way_gives_the_same_ledger_once_each(
    world: World,
    client: openai.OpenAI,
    key: str,
    run: str,
    asked: tuple[str, CompletionUsage],
) -> None:
    _, used = asked
    passed = last_call(world)
    with client.chat.completions.create(
        model="orchid",
        messages=ASKED,
        stream=True,
        extra_headers={"X-Tollgate-Run": run},
    ) as stream:
        assert list(stream)
    streamed = last_call(world)
    reports, rows = count(world)

    item = as_item("by-rest", used, run=run)
    assert tell(world, key, item, item)["duplicates"] == 1
    assert tell(world, key, item)["duplicates"] == 1
    told = as_item("by-mcp", used, run=run)
    for _ in range(2):
        assert not world.stack.call(key, "report_usage", told).is_error
    traced = []
    for form in ("protobuf", "json"):
        twice = Twice(exporter(world, key, form))
        traced.append(trace(twice, used, run))
        # The span of the answer and that of its agent, each twice.
        assert twice.results == [SpanExportResult.SUCCESS] * 4

    expected = ledger(world, passed.uid)
    assert [row[SAME.index("token_kind")] for row in expected] == [
        *("cached_read", "input", "output", "reasoning")
    ]
    assert all(row[SAME.index("cost")] for row in expected)
    assert {row[SAME.index("run")] for row in expected} == {run}
    for event in (streamed.uid, "by-rest", "by-mcp", *traced):
        assert ledger(world, event) == expected, event
    assert count(world) == (reports + 4, rows + 4 * len(expected))
    with world.stack.database():
        own = Run.objects.get(uid=run)
        whole = UsageEvent.objects.filter(run=run, kind="model_tokens")
        assert sum(row.quantity for row in whole) == 6 * used.total_tokens
        assert {row.task for row in whole} == {own.task.uid}


@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_an_answer_that_passed_through_is_not_told_again(
    world: World,
    key: str,
    run: str,
    asked: tuple[str, CompletionUsage],
    form: str,
) -> None:
    answer, used = asked
    before = count(world)
    assert tell(world, key, as_item(answer, used, run=run))["duplicates"] == 1
    told = as_item(answer, used, run=run)
    assert not world.stack.call(key, "report_usage", told).is_error
    more = {"gen_ai.response.id": answer}
    trace(exporter(world, key, form), used, run, **more)
    assert count(world) == before


def test_answers_in_the_trace_of_a_run_are_of_its_work(
    world: World, client: openai.OpenAI, key: str, server: ModelServerOnLoopback
) -> None:
    number = f"{time.time_ns():032x}"
    parent = {"traceparent": f"00-{number}-00f067aa0ba902b7-01"}
    arguments = {"name": "execute", "arguments": {"code": "return 1"}}
    client.chat.completions.create(model="orchid", messages=ASKED, extra_headers=parent)
    wrote = last_call(world)
    answer = httpx2.post(
        world.stack.mcp_url,
        headers={
            "Authorization": f"Bearer {key}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
            **parent,
        },
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments},
        timeout=60,
    )
    run = answer.json()["result"]["structuredContent"]["run"]
    client.chat.completions.create(model="orchid", messages=ASKED, extra_headers=parent)
    call = last_call(world)
    assert (call.trace_id, call.run) == (number, run)
    assert server.headers[-1]["traceparent"] == parent["traceparent"]
    assert {row[SAME.index("run")] for row in ledger(world, call.uid)} == {run}
    # What wrote the script, before there was a run, is of the run's task.
    assert (wrote.run, wrote.task) == ("", call.task)
    with world.stack.database():
        assert Run.objects.get(uid=run).task.uid == wrote.task
