"""The grammar of scopes and what covers what."""

import pytest

from core.errors import Invalid
from policy.scopes import covers, parse


def test_words_are_separated_by_commas_or_spaces_and_kept_once() -> None:
    assert parse("tools:crm.*, runs:execute tools:crm.*") == (
        "tools:crm.*",
        "runs:execute",
    )


@pytest.mark.parametrize(
    "text",
    ["tools", "tools:", "tools:crm*", "tools:*.x", "nope:x", "tools:a..b", "TOOLS:*"],
)
def test_what_is_no_scope_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match="area:name"):
        parse(text)


@pytest.mark.parametrize(
    ("held", "needed", "covered"),
    [
        ("tools:*", "tools:crm.list_orders", True),
        ("tools:crm.*", "tools:crm.list_orders", True),
        ("tools:crm.*", "tools:crmx.list", False),
        ("tools:crm.*", "tools:*", False),
        ("tools:crm.list_orders", "tools:crm.list_orders_all", False),
        ("runs:execute", "runs:read", False),
        ("admin:*", "audit:read", False),
    ],
)
def test_covers(held: str, needed: str, covered: bool) -> None:
    assert covers([held], needed) is covered
