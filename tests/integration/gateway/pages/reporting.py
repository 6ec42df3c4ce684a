"""Reads auditors' reports as their readers do."""

import json
from typing import Any

from django.test import Client
from django.urls import reverse


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
