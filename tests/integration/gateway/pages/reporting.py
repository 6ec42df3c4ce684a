"""Reads auditors' reports as their readers do."""

import json
from datetime import timedelta
from typing import Any

from django.test import Client
from django.urls import reverse

from audit.actor import Target
from audit.models import Event
from core.clock import now
from tests.builders.audit import AGENT, make_event

REFUSED = Target("tool", "crm.refund", "crm.refund")


def path(slug: str, query: str = "") -> str:
    return reverse("audit_report", args=[slug]) + query


def page(client: Client, slug: str, query: str = "") -> str:
    response = client.get(path(slug, query))
    assert response.status_code == 200
    return response.content.decode()


def rows(client: Client, slug: str, query: str = "") -> list[dict[str, Any]]:
    response = client.get(path(slug, query or "?") + "&export=json")
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    return [json.loads(line) for line in text.splitlines()]


def figure(client: Client, slug: str, label: str, query: str = "") -> str:
    html = page(client, slug, query)
    cell = html.partition(f"<dt>{label}</dt><dd>")[2].partition("</dd>")[0]
    return cell.partition(">")[2].partition("<")[0] if cell.startswith("<a") else cell


def deny(
    reason: str = "grant: no grant covers it",
    *,
    rules: tuple[str, ...] = (),
    **more: Any,
) -> Event:
    values: dict[str, Any] = {
        "actor": AGENT,
        "at": now() - timedelta(hours=1),
        "target": REFUSED,
        "decision": "deny",
        "reasons": [reason],
        "tool": "crm.refund",
        "payload": {"rules": list(rules)} if rules else {},
    }
    return make_event("call.refused", **(values | more))
