"""Traces as bytes, and the model usage that is read from their spans."""

import gzip
import json
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from core.errors import TollgateError
from finops.model_usage import ModelUsage
from finops.told import Told
from gateway.otlp import wire
from gateway.otlp.spans import Found, usage_in

JSON, PROTOBUF = wire.Form(wire.JSON), wire.Form(wire.PROTOBUF)
TRACE = "0af7651916cd43dd8448eb211c80319c"
USED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.response.model": "gpt-5-2026",
    "gen_ai.request.model": "gpt-5",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
}


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = {
        str: "stringValue",
        int: "intValue",
        float: "doubleValue",
        bool: "boolValue",
    }
    return [
        {
            "key": key,
            "value": {kinds[type(value)]: str(value) if type(value) is int else value},
        }
        for key, value in values.items()
    ]


def span(number: int, values: dict[str, Any], *, parent: int = 0) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": "1795000000000000000",
        "endTimeUnixNano": "1795000001000000000",
        "attributes": attributes(values),
    }


def body(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> bytes:
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": attributes(resource or {})},
                    "scopeSpans": [{"scope": {"name": "x"}, "spans": list(spans)}],
                    "unknownField": 1,
                }
            ]
        }
    ).encode()


def read(*spans: dict[str, Any], **more: Any) -> Found:
    return usage_in(wire.request_in(body(*spans, **more), JSON))


def one(values: dict[str, Any], **more: Any) -> Told:
    (told,) = read(span(7, values), **more).told
    return told


def test_a_span_of_an_answer_is_read_by_present_names() -> None:
    told = one(
        USED
        | {
            "gen_ai.usage.cache_read.input_tokens": 60,
            "gen_ai.usage.cache_write.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 5,
            "gen_ai.response.id": "chatcmpl-1",
            "tollgate.run": "run_1",
        }
    )
    assert told.event == f"{TRACE}:0000000000000007"
    assert (told.provider, told.model, told.asked_model) == (
        "openai",
        "gpt-5-2026",
        "gpt-5",
    )
    assert told.usage == ModelUsage(100, 20, 60, 10, 5)
    assert (told.trace_id, told.run, told.answer) == (TRACE, "run_1", "chatcmpl-1")
    assert told.at.isoformat() == "2026-11-18T11:06:41+00:00"


def test_former_names_are_read_and_present_ones_come_first() -> None:
    former = {
        "gen_ai.system": "gcp.vertex_ai",
        "gen_ai.request.model": "gemini",
        "gen_ai.usage.prompt_tokens": 9,
        "gen_ai.usage.completion_tokens": 4,
        "gen_ai.usage.cache_creation.input_tokens": 3,
        "gen_ai.usage.cache_read_input_tokens": 2,
        "gen_ai.usage.reasoning_tokens": 1,
    }
    told = one(former)
    assert (told.provider, told.model) == ("google", "gemini")
    assert told.usage == ModelUsage(9, 4, 2, 3, 1)
    both = one(former | {"gen_ai.usage.input_tokens": 50})
    assert both.usage.input == 50


def test_what_a_span_does_not_say_is_not_zero() -> None:
    assert one(USED).usage == ModelUsage(100, 20, None, None, None)


def test_attributes_of_the_resource_hold_for_its_spans() -> None:
    told = one(USED, resource={"tollgate.run": "run_9", "service.name": "agent"})
    assert told.run == "run_9"
    nearer = one(USED | {"tollgate.run": "run_1"}, resource={"tollgate.run": "run_9"})
    assert nearer.run == "run_1"


@pytest.mark.parametrize("operation", ["invoke_agent", "execute_tool", "plan"])
def test_a_span_that_sums_its_children_is_not_counted(operation: str) -> None:
    agent = USED | {"gen_ai.operation.name": operation}
    found = read(span(1, agent), span(2, USED, parent=1), span(3, USED, parent=1))
    assert [told.event[-1] for told in found.told] == ["2", "3"]
    assert found.refused == ()


def test_of_two_layers_that_tell_of_one_answer_the_inner_counts() -> None:
    plain = {"http.request.method": "POST"}
    spans = (span(1, USED), span(2, plain, parent=1), span(3, USED, parent=2))
    assert [told.event[-1] for told in read(*spans).told] == ["3"]
    assert [told.event[-1] for told in read(*spans[::-1]).told] == ["3"]


def test_spans_that_name_each_other_as_parents_end() -> None:
    assert read(span(1, USED, parent=2), span(2, USED, parent=1)).told == ()


def test_a_span_without_usage_is_no_mistake() -> None:
    found = read(span(1, {"gen_ai.operation.name": "chat"}), span(2, {"a": 1}))
    assert found == Found((), ())


@pytest.mark.parametrize(
    "odd",
    [
        {"gen_ai.usage.input_tokens": "many"},
        {"gen_ai.usage.input_tokens": True},
        {"gen_ai.usage.input_tokens": 1.5},
    ],
)
def test_usage_that_is_no_number_is_refused_by_itself(odd: dict[str, Any]) -> None:
    found = read(span(1, USED | odd), span(2, USED))
    assert len(found.told) == len(found.refused) == 1
    assert "input_tokens" in found.refused[0]


def test_ids_and_times_that_are_missing_are_refused() -> None:
    bad = [span(1, USED) | {"traceId": ""}, span(2, USED) | {"spanId": "ab"}]
    timeless = span(3, USED) | {"endTimeUnixNano": "0"}
    assert len(read(*bad, timeless).refused) == 3


def test_both_encodings_say_the_same() -> None:
    request = wire.request_in(body(span(7, USED)), JSON)
    packed = gzip.compress(request.SerializeToString())
    again = wire.request_in(wire.unpacked(packed, "gzip"), PROTOBUF)
    assert usage_in(again) == usage_in(request)


def test_an_answer_is_read_by_others() -> None:
    packed = PROTOBUF.answer(rejected=3, message="why")
    response = ExportTraceServiceResponse.FromString(packed)
    assert response.partial_success.rejected_spans == 3
    assert (
        ExportTraceServiceResponse.FromString(
            PROTOBUF.answer(rejected=0, message="")
        ).HasField("partial_success")
        is False
    )
    text = JSON.answer(rejected=3, message="why")
    assert json_format.Parse(text, ExportTraceServiceResponse()) == response
    assert JSON.answer(rejected=0, message="") == b"{}"


def test_a_refusal_is_a_status_in_the_form_of_the_request() -> None:
    assert json.loads(JSON.refusal(400, "no")) == {"code": 3, "message": "no"}
    assert PROTOBUF.refusal(403, "no") == b"\x08\x07\x12\x02no"
    long = PROTOBUF.refusal(400, "x" * 300)
    assert long[:5] == b"\x08\x03\x12\xac\x02"


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b"", JSON),
        (b"[]", JSON),
        (b"{", JSON),
        (b'{"resourceSpans": 3}', JSON),
        (b'{"resourceSpans": [3]}', JSON),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 3}]}]}]}', JSON),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "xy"}]}]}]}',
            JSON,
        ),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": {"a": 1}}]}]}', JSON),
        (b"\xff\xff\xff", PROTOBUF),
        (b"\x0a\xff\xff\xff\xff\x0f", PROTOBUF),
    ],
)
def test_a_body_that_is_no_request_is_refused(raw: bytes, form: wire.Form) -> None:
    with pytest.raises(wire.Unreadable):
        wire.request_in(raw, form)


def test_what_is_packed_is_bounded() -> None:
    bomb = gzip.compress(b"\x00" * (wire.MOST_BYTES + 1))
    for packed, encoding, refused in (
        (bomb, "gzip", wire.TooLarge),
        (b"x" * (wire.MOST_SENT_BYTES + 1), "", wire.TooLarge),
        (b"no gzip", "gzip", wire.Unreadable),
        (gzip.compress(b"abc")[:-6], "gzip", wire.Unreadable),
        (b"", "br", wire.UnknownEncoding),
    ):
        with pytest.raises(refused):
            wire.unpacked(packed, encoding)


def test_fields_that_are_unknown_are_left_alone() -> None:
    deep = b'{"a":' * 500 + b"1" + b"}" * 500
    assert usage_in(wire.request_in(deep, JSON)) == Found((), ())


@given(st.binary(max_size=300), st.sampled_from([JSON, PROTOBUF]))
def test_any_bytes_are_read_or_refused(raw: bytes, form: wire.Form) -> None:
    with suppress(TollgateError):
        usage_in(wire.request_in(raw, form))


_leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
_json = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "resourceSpans",
                    "scopeSpans",
                    "spans",
                    "traceId",
                    "attributes",
                    "links",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(_json)
def test_any_json_is_read_or_refused(value: Any) -> None:
    with suppress(TollgateError):
        usage_in(wire.request_in(json.dumps(value).encode(), JSON))


def test_a_request_of_the_sdk_reads_as_itself() -> None:
    request = ExportTraceServiceRequest()
    assert usage_in(request) == Found((), ())
