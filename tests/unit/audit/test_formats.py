"""What sinks are sent: OCSF that its schema accepts, CEF, and JSON lines."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from typing import Any

import jsonschema_rs
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from audit.actor import SYSTEM, Actor, Target
from audit.formats import cef, jsonl, ocsf
from audit.formats.items import Anchor, Sealed
from audit.formats.ocsf_classes import MAPPINGS
from audit.registry import EventKind, known
from audit.services.record import build
from core.canonical import canonical

for _app in ("audit", "policy", "finops", "gateway"):
    import_module(f"{_app}.events")

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
AGENT = Actor(
    "service_account", "sa:sales/agent", "agent", team="sales", environment="prod",
    key="tg_0123abcd", address="10.0.0.7", request_id="req_1",
)  # fmt: skip
NOTE = "tollgate.example/audit\n12\nq83v\n\n— tollgate.example/audit AAAA\n"
ANCHOR = Anchor(size=12, root="ab" * 32, note=NOTE, at=AT)
FULL: dict[str, Any] = {
    "target": Target("tool", "crm.refund", "crm.refund"),
    "tool": "crm.refund",
    "run": "run_1",
    "step": 3,
    "before": {"limit": 1},
    "after": {"limit": 2},
    "reasons": ["rule refunds"],
    "payload": {
        "arguments": {"amount": 12.5, "to": "a=b|c\\d\ne"},
        "effect": "write",
        "error": "it broke",
        "holder": "team:sales",
        "outcome": "unknown",
        "reason": "asked for",
        "role": "auditor",
        "user": "alice",
        "username": "alice",
        "version": 3,
    },
}
BARE: dict[str, Any] = {}


def sealed(kind: EventKind, *, actor: Actor = AGENT, **details: Any) -> Sealed:
    told = details.get("payload", {})
    unknown = kind.unknown(told)
    details["payload"] = {key: told[key] for key in told if key not in unknown}
    made = build(kind, actor=actor, at=AT, **details)
    return Sealed(7, made.uid, AT, made.name, made.summary, made.body, "cd" * 32)


@cache
def _schema() -> OcsfJsonSchemaEmbedded:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(ocsf.SCHEMA))


@cache
def _validator(class_uid: int, profiles: tuple[str, ...]) -> Any:
    name = _schema().lookup_class_name_from_uid(class_uid)
    return jsonschema_rs.validator_for(_schema().get_class_schema(name, list(profiles)))


def problems(line: str) -> list[str]:
    event = json.loads(line)
    profiles = tuple(event["metadata"].get("profiles", ()))
    errors = _validator(event["class_uid"], profiles).iter_errors(event)
    return [f"{error.instance_path}: {error.message}" for error in errors]


@pytest.mark.parametrize("name", sorted(known()))
@pytest.mark.parametrize("decision", ["", "allow", "deny"])
def test_every_kind_of_event_is_valid_ocsf(name: str, decision: str) -> None:
    assert name in MAPPINGS, "give it a class in audit/formats/ocsf_classes.py"
    anonymous = Actor("anonymous", "anonymous", "", address="not an address")
    for actor in (AGENT, SYSTEM, anonymous):
        for details in (FULL, BARE):
            item = sealed(known()[name], actor=actor, decision=decision, **details)
            assert problems(ocsf.render(item)) == []


def test_the_schema_refuses_what_is_wrong() -> None:
    event = ocsf.as_dict(sealed(known()["call.refused"], decision="deny", **FULL))
    event["activity_id"] = 55
    del event["src_endpoint"]
    assert len(problems(json.dumps(event))) == 2
    event = ocsf.as_dict(sealed(known()["call.refused"]))
    assert problems(json.dumps(event | {"undreamt": 1}))


def test_no_mapping_is_left_of_a_kind_that_is_gone() -> None:
    assert set(MAPPINGS) - set(known()) == set()


def test_an_unknown_kind_is_still_delivered() -> None:
    line = ocsf.render(sealed(EventKind("new.kind", "{actor} did it"), **FULL))
    assert problems(line) == []
    assert json.loads(line)["class_uid"] == 6003


def test_a_denied_call_says_so_in_ocsf() -> None:
    event = ocsf.as_dict(sealed(known()["call.refused"], decision="deny", **FULL))
    assert event["type_uid"] == 600303
    assert (event["action"], event["status"]) == ("Denied", "Failure")
    assert event["status_detail"] == "rule refunds"
    assert event["api"]["operation"] == "crm.refund"
    assert event["src_endpoint"] == {"ip": "10.0.0.7"}
    assert event["metadata"]["sequence"] == 7
    assert event["metadata"]["correlation_uid"] == "run_1"
    assert event["unmapped"]["leaf"] == "cd" * 32


def test_a_verification_that_found_something_is_a_finding() -> None:
    item = sealed(known()["audit.verified"])
    assert ocsf.as_dict(item)["class_uid"] == 6003
    facts = item.facts | {"payload": {"findings": ["event 3 was changed"]}}
    found = replace(item, body=canonical(facts).decode())
    assert problems(ocsf.render(found)) == []
    assert ocsf.as_dict(found)["type_uid"] == 200401
    assert ocsf.as_dict(found)["severity"] == "Critical"


def test_a_trace_is_named_where_the_event_has_one() -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    traced = sealed(known()["call.ended"], actor=replace(AGENT, trace_id=trace), **FULL)
    assert problems(ocsf.render(traced)) == []
    assert ocsf.as_dict(traced)["trace"] == {"uid": trace}


def test_a_checkpoint_is_valid_ocsf_and_can_be_read_back() -> None:
    assert problems(ocsf.render(ANCHOR)) == []
    assert jsonl.note_in(ocsf.render(ANCHOR)) == NOTE
    assert jsonl.note_in(jsonl.render(ANCHOR)) == NOTE
    event = sealed(known()["call.ended"], payload={"note": "x\ny"})
    assert jsonl.note_in(jsonl.render(event)) is None
    assert jsonl.note_in("no JSON, a note") is None


def test_json_lines_keep_the_sealed_bytes() -> None:
    item = sealed(known()["call.ended"], **FULL)
    line = jsonl.render(item)
    assert "\n" not in line
    assert canonical(json.loads(line)["body"]).decode() == item.body
    assert (json.loads(line)["index"], json.loads(line)["leaf"]) == (7, "cd" * 32)


def test_cef_escapes_what_would_break_it() -> None:
    item = sealed(
        EventKind("a|b", "a | b\\ c\nd"),
        decision="deny",
        reasons=["x=y\\z\nw"],
        target=Target("tool", "t", "t"),
    )
    line = cef.render(item)
    assert line.startswith(r"CEF:0|Tollgate|Tollgate|0.1.0|a\|b|a \| b\\ c d|6|rt=")
    assert r"reason=x\=y\\z\nw" in line
    assert "suid=sa:sales/agent" in line
    assert "src=10.0.0.7" in line
    assert "cs1Label=team cs1=sales" in line
    assert "cn1Label=index cn1=7" in line
    assert "\n" not in line


def test_a_checkpoint_in_cef_holds_its_note() -> None:
    line = cef.render(ANCHOR)
    assert "|audit.checkpoint|" in line
    assert line.count("\n") == 0
    assert line.endswith("cn1Label=size cn1=12")
