"""The demo's open draft: begun once, with a replay that has something to show."""

from pathlib import Path

import pytest

from audit.actor import SYSTEM
from core.clock import now
from deploy.demo import draft
from gateway.models import PolicyReplay
from policy import documents
from policy.models import PolicyDraft
from policy.services import drafts
from tests.builders.runs import make_call, make_run

RULES = Path(draft.__file__).with_name("rules.yaml")


@pytest.mark.django_db
def test_the_open_draft_is_begun_once_and_replayed() -> None:
    rules = documents.read(RULES.read_text())
    drafts.put_live(name="n", rules=rules, reason="r", actor=SYSTEM, at=now())
    run = make_run(environment="prod", at=now())
    tool = "crm.set_customer_tier"
    make_call(run, tool=tool, arguments={"customer_id": "C-1", "tier": "gold"})
    hidden = {"ticket_id": "T-1", "text": "[redacted by policy]"}
    make_call(run, tool="ops.add_ticket_comment", arguments=hidden)
    assert draft.main() == draft.main() == 0
    open_one = PolicyDraft.objects.get(state="open")
    assert open_one.name == draft.NAME
    result = PolicyReplay.objects.get(draft=open_one.uid).result
    assert result is not None
    assert (result["changed"], result["undecidable"]) == (1, 1)
