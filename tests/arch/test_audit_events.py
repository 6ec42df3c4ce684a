"""The page of all audit events is what the code says."""

from io import StringIO
from pathlib import Path

from django.core.management import call_command

PAGE = Path(__file__).resolve().parents[2] / "docs/audit-events.md"


def test_the_page_lists_every_kind() -> None:
    page = StringIO()
    call_command("audit_events", stdout=page)
    assert page.getvalue() == PAGE.read_text(), (
        "run: .venv/bin/python manage.py audit_events > docs/audit-events.md"
    )
