"""Traces over HTTP: answered in their own encoding, booked once."""

import gzip
import json
import time
from typing import Any

import pytest
from django.test import Client
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from audit.models import Event
from finops.models import UsageEvent, UsageReport
from gateway.otlp import wire
from policy.services.keys import NewKey
from tests.builders.identity import make_account, make_key, make_team
from tests.builders.runs import make_run
from tests.unit.gateway.test_otlp import USED, body, span

NOW = str(time.time_ns())


@pytest.fixture
def key(db: None) -> NewKey:
    """A key of sales that may report usage."""
    return make_key(make_account(make_team()), scopes=["costs:write"])


def fresh(number: int, values: dict[str, Any] = USED) -> dict[str, Any]:
    return span(number, values) | {"endTimeUnixNano": NOW}


def send(key: NewKey, sent: bytes, kind: str = wire.JSON, **headers: str) -> Any:
    client = Client(headers={"Authorization": f"Bearer {key.text}", **headers})
    return client.post("/otlp/v1/traces", sent, content_type=kind)


def test_json_is_booked_and_answered_in_json(key: NewKey) -> None:
    response = send(key, body(fresh(1), fresh(2)))
    assert (response.status_code, response.content) == (200, b"{}")
    assert response["Content-Type"] == wire.JSON
    reports = UsageReport.objects.order_by("event")
    assert [one.event[-2:] for one in reports] == ["01", "02"]
    assert {one.source for one in reports} == {"otlp"}
    assert UsageEvent.objects.count() == 4


def test_protobuf_is_booked_and_answered_in_protobuf(key: NewKey) -> None:
    request = wire.request_in(body(fresh(1)), wire.Form(wire.JSON))
    packed = gzip.compress(request.SerializeToString())
    for _ in range(2):
        response = send(key, packed, wire.PROTOBUF, **{"Content-Encoding": "gzip"})
        assert response.status_code == 200
        assert response["Content-Type"] == wire.PROTOBUF
        answer = ExportTraceServiceResponse.FromString(response.content)
        assert not answer.HasField("partial_success")
    assert UsageReport.objects.count() == 1


def test_spans_belong_to_the_run_of_their_trace(key: NewKey) -> None:
    trace = fresh(1)["traceId"]
    run = make_run(team="sales", trace_id=trace)
    send(key, body(fresh(1)))
    assert UsageReport.objects.get().run == run.uid


def test_what_is_refused_is_counted_with_its_reason(key: NewKey) -> None:
    stranger = make_run(team="support")
    response = send(
        key,
        body(
            fresh(1),
            fresh(2, USED | {"gen_ai.usage.cache_read.input_tokens": 101}),
            fresh(3, USED | {"tollgate.run": stranger.uid}),
            fresh(4, USED | {"gen_ai.usage.input_tokens": "x"}),
            fresh(5, {"http.route": "/"}),
        ),
    )
    partial = json.loads(response.content)["partialSuccess"]
    assert partial["rejectedSpans"] == "3"
    for said in ("cache reads", "no run", "no number"):
        assert said in partial["errorMessage"]
    assert UsageReport.objects.get().event.endswith("01")
    assert Event.objects.filter(name="usage.refused").count() == 1
    assert (
        json.loads(Event.objects.get(name="usage.reported").body)["payload"]["refused"]
        == 3
    )


@pytest.mark.parametrize(
    ("sent", "kind", "status"),
    [
        (b"{", wire.JSON, 400),
        (b"\xff\xff", wire.PROTOBUF, 400),
        (b"{}", "text/plain", 415),
        (b" " * (wire.MOST_SENT_BYTES + 1), wire.JSON, 413),
    ],
)
def test_a_bad_body_is_a_status_in_its_own_encoding(
    key: NewKey, sent: bytes, kind: str, status: int
) -> None:
    response = send(key, sent, kind)
    assert response.status_code == status
    if kind == wire.PROTOBUF:
        assert response["Content-Type"] == wire.PROTOBUF
        assert response.content.startswith(b"\x08\x03\x12")
    else:
        assert json.loads(response.content)["message"]


def test_only_a_key_with_the_scope_sends_traces(key: NewKey) -> None:
    weak = make_key(make_account(make_team()), name="weak", scopes=["costs:read"])
    response = send(weak, body(fresh(1)))
    assert (response.status_code, json.loads(response.content)["code"]) == (403, 7)
    response = Client().post("/otlp/v1/traces", b"{}", content_type=wire.JSON)
    assert (response.status_code, json.loads(response.content)["code"]) == (401, 16)
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert UsageReport.objects.count() == 0


def test_an_empty_request_is_taken(key: NewKey) -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add()
    packed = request.SerializeToString()
    assert send(key, packed, wire.PROTOBUF).status_code == 200
    assert Event.objects.filter(name="usage.reported").count() == 0


def test_an_answer_that_passed_through_is_not_booked_again(key: NewKey) -> None:
    send(key, body(fresh(1)))
    passed = UsageReport.objects.get()
    passed.pk, passed.event, passed.source = None, "req_1", "gateway"
    passed.answer = "chatcmpl-9"
    passed.save(force_insert=True)
    send(key, body(fresh(2, USED | {"gen_ai.response.id": "chatcmpl-9"})))
    send(key, body(fresh(3, USED | {"gen_ai.response.id": "chatcmpl-8"})))
    events = UsageReport.objects.values_list("event", flat=True)
    assert sorted(one[-2:] for one in events) == ["01", "03", "_1"]
