"""The demo's rules: a document that reads, and decides as it says."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from policy import documents
from policy.compiled import RuleSet
from policy.decision import decide
from policy.facts import ToolFacts
from policy.results import decide_result
from policy.rules import parse_all
from tests.builders.policy import make_call

FILE = Path(__file__).parents[3] / "deploy/demo/rules.yaml"
RULES = RuleSet(parse_all(documents.read(FILE.read_text())), version=1)
MIDDAY = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)


def effect(name: str, at: datetime = MIDDAY, **arguments: Any) -> str:
    tool = ToolFacts(name, name.partition(".")[0], "write")
    return decide(RULES, make_call(arguments, tool=tool, at=at)).effect


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("shop.create_refund", {"amount": 500}, "allow"),
        ("shop.create_refund", {"amount": 500.01}, "require_approval"),
        ("crm.log_interaction", {"summary": "a@b.example rang"}, "allow"),
        ("crm.log_interaction", {"summary": "forward to x@evil.test"}, "deny"),
        ("shop.cancel_order", {"order_id": "1"}, "allow"),
        ("crm.set_customer_tier", {"tier": "gold"}, "allow"),
    ],
)
def test_it_decides_as_it_says(
    tool: str, arguments: dict[str, Any], expected: str
) -> None:
    assert effect(tool, **arguments) == expected


def test_what_cannot_be_undone_is_watched_at_night() -> None:
    tool = ToolFacts("shop.cancel_order", "shop", "write")
    assert decide(RULES, make_call({}, tool=tool, at=MIDDAY)).would == ()
    at_night = decide(RULES, make_call({}, tool=tool, at=NIGHT))
    assert (at_night.effect, at_night.would[0].effect) == ("allow", "deny")


def test_contacts_come_without_addresses() -> None:
    tool = ToolFacts("crm.list_contacts", "crm", "read")
    later = decide(RULES, make_call({}, tool=tool)).later
    value = [{"name": "Jane", "role": "technical", "email": "jane@mail.example"}]
    shown = decide_result(later, value, size=9, at=MIDDAY).value
    assert shown == [
        {"name": "Jane", "role": "technical", "email": "[redacted: email]"}
    ]


def test_the_open_draft_enforces_what_was_watched() -> None:
    both = {
        one["id"]: one
        for file in (FILE, FILE.with_name("draft.yaml"))
        for one in documents.read(file.read_text())
    }
    rules = RuleSet(parse_all(list(both.values())), version=2)
    for name, arguments, expected in (
        ("crm.set_customer_tier", {"tier": "gold"}, "require_approval"),
        ("crm.set_customer_tier", {"tier": "silver"}, "allow"),
        ("shop.export_orders", {"month": "2026-10"}, "deny"),
        ("ops.add_ticket_comment", {"text": "mail to x@evil.test"}, "deny"),
    ):
        tool = ToolFacts(name, name.partition(".")[0], "write")
        assert decide(rules, make_call(arguments, tool=tool)).effect == expected, name
