"""``verify_audit``: what it prints, and the exit codes that scripts go by."""

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from pytest_django.fixtures import Settings

from audit import tree
from audit.evidence import bundles
from audit.models import Event, Verification
from audit.services import verification
from tests.builders.audit import AT, SEAL_KEY, make_event, seal_events
from tests.integration.audit.trail import Trail

pytestmark = pytest.mark.usefixtures("trail")


@pytest.fixture(autouse=True)
def place(settings: Settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    settings.AUDIT_ANCHOR_FILE = str(tmp_path / "last-checkpoint")
    settings.AUDIT_TRUSTED_KEYS = [str(SEAL_KEY.key)]
    return tmp_path


@pytest.fixture
def events() -> list[Event]:
    made = [make_event() for _ in range(3)]
    seal_events()
    return made


def refused(*arguments: str) -> int:
    with pytest.raises((CommandError, SystemExit)) as found:
        call_command("verify_audit", *arguments)
    error = found.value
    return (
        error.returncode
        if isinstance(error, CommandError)
        else int(getattr(error, "code", 0))
    )


def test_nothing_found(
    events: list[Event], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = tree.latest()
    assert newest is not None
    (place / "sink.jsonl").write_text(json.dumps({"checkpoint": newest.note}) + "\n")
    call_command("verify_audit", "--checkpoint", str(place / "sink.jsonl"), "--keep")
    lines = capsys.readouterr().out.splitlines()

    assert lines[0].startswith("whole: 3 events, leaves 0 to 3")
    assert lines[1] == f"signed by {SEAL_KEY.key}"
    assert [line.split() for line in lines[2:]] == [
        ["integrity", "passed"],
        ["completeness", "passed"],
        ["anchoring", "passed"],
    ]
    assert Verification.objects.get().passed
    assert Event.objects.get(name="audit.verified")


def test_a_finding_is_exit_code_1_and_the_own_anchor_is_asked(
    events: list[Event],
    trail: Trail,
    place: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    newest = tree.latest()
    assert newest is not None
    (place / "last-checkpoint").write_text(newest.note)
    trail.attack(
        *(f"DELETE FROM audit_{name}" for name in ("event", "leaf", "checkpoint"))  # noqa: S608
    )
    assert refused("--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert report["anchoring"] == "failed"
    assert report["integrity"] == "passed"
    assert [one["code"] for one in report["findings"]] == ["rolled_back"]


def test_one_event_a_stretch_and_a_bundle(events: list[Event], place: Path) -> None:
    call_command("verify_audit", "--event", events[1].uid)
    call_command("verify_audit", "--from", "2026-11-20", "--to", "2026-11-21T00:00:00Z")
    call_command("verify_audit", "--since-last")
    bundle = place / "evidence.zip"
    bundle.write_bytes(bundles.make(events, about={}, at=AT))
    call_command("verify_audit", "--bundle", str(bundle))


def test_what_cannot_be_verified_is_exit_code_2(
    events: list[Event],
    place: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert refused("--event", "evt_nowhere") == 2
    assert refused("--checkpoint", str(place / "nowhere")) == 2
    assert refused("--trusted-key", str(place / "nowhere")) == 2
    assert refused("--from", "yesterday") != 0
    settings.AUDIT_TRUSTED_KEYS = []
    assert refused() == 2

    def away(*_: object, **__: object) -> None:
        raise DatabaseError("the server is away")

    settings.AUDIT_TRUSTED_KEYS = [str(SEAL_KEY.key)]
    monkeypatch.setattr(verification, "verify_whole", away)
    assert refused() == 2


def test_a_key_that_is_given_is_trusted_instead(
    events: list[Event], place: Path
) -> None:
    (place / "other").write_text(
        str(type(SEAL_KEY.key)(SEAL_KEY.name, bytes([9] * 32))) + "\n"
    )
    assert refused("--trusted-key", str(place / "other")) == 1
