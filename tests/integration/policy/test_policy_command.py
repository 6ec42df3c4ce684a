"""``manage.py policy``: the rules as a document in git."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from core.clock import now
from policy.models import PolicyDraft, PolicyVersion
from policy.services import rules as versions
from tests.builders.identity import ACTOR

pytestmark = pytest.mark.django_db

TEXT = """
rules:
- id: hours
  effect: deny
  mode: monitor
  check: {kind: working_hours, from: 09:00, to: 17:00, zone: Europe/Berlin}
- id: refunds
  effect: require_approval
  when: |
    args.amount > 500
    && tool.name == "shop.refund"
  approve: {role: finance}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "rules.yaml"
    path.write_text(TEXT)
    return str(path)


def policy(*arguments: str, code: int = 0) -> str:
    out = StringIO()
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command("policy", *arguments, stdout=out)
        assert ended.value.code == code
    else:
        call_command("policy", *arguments, stdout=out)
    return out.getvalue()


def test_a_document_is_compared_applied_once_and_exported_the_same(
    file: str, tmp_path: Path
) -> None:
    assert "+ refunds" in policy("diff", file, code=2)
    assert "+ hours" in policy("apply", file, "--reason", "r", "--dry-run", code=2)
    assert PolicyVersion.objects.count() == 0
    assert "Version 1 is live." in policy("apply", file, "--reason", "ticket 9")
    version = PolicyVersion.objects.get()
    assert version.reason == "ticket 9"
    assert version.published_by.startswith("cli:")
    assert "Nothing differs from version 1." in policy("apply", file, "--reason", "r")
    assert policy("diff", file) == "Nothing differs from version 1.\n"
    assert PolicyVersion.objects.count() == 1
    out = tmp_path / "out.yaml"
    policy("export", "--output", str(out))
    assert policy("diff", str(out)) == "Nothing differs from version 1.\n"
    assert out.read_text() == policy("export")


def test_a_changed_field_is_shown_with_before_and_after(file: str) -> None:
    policy("apply", file, "--reason", "r")
    Path(file).write_text(TEXT.replace("09:00", "10:00"))
    shown = policy("diff", file, code=2)
    assert "~ hours\n    check.from: '09:00' -> '10:00'" in shown
    assert "refunds" not in shown


def test_with_two_persons_it_proposes(file: str) -> None:
    versions.set_two_persons(needed=True, actor=ACTOR, at=now())
    assert "another administrator" in policy("apply", file, "--reason", "r", code=3)
    assert PolicyDraft.objects.get().state == "proposed"
    assert PolicyVersion.objects.count() == 0


def test_what_is_wrong_is_named_line_by_line(file: str) -> None:
    Path(file).write_text(TEXT.replace("finance", "king").replace("monitor", "look"))
    with pytest.raises(CommandError) as raised:
        policy("apply", file, "--reason", "r")
    assert "hours: mode: 'look' is none of" in str(raised.value)
    assert "refunds: approve" in str(raised.value)
    with pytest.raises(CommandError, match="cannot be read"):
        policy("diff", f"{file}.gone")
