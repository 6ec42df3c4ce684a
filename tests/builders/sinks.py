"""Audit sinks for tests, made by the real service."""

from typing import Any

from audit.models import Sink
from audit.services.sinks import Wanted, create_sink
from core.clock import now
from tests.builders.audit import AGENT


def make_sink(
    kind: str,
    *,
    name: str = "",
    form: str = "json",
    secrets: Any = None,
    **options: Any,
) -> Sink:
    """A sink that gets the whole trail."""
    wanted = Wanted(
        name=name or kind, kind=kind, form=form, options=options, secrets=secrets or {}
    )
    return create_sink(wanted=wanted, actor=AGENT, at=now())


def make_file_sink(name: str = "archive", file: str = "audit.jsonl") -> Sink:
    """A JSON lines file."""
    return make_sink("file", name=name, file=file)
