"""Sends a line of the access table as somebody."""

import json
from collections.abc import Mapping
from typing import Any

from django.http.response import HttpResponseBase
from django.test import Client
from django.urls import reverse

from policy.models import User
from tests.integration.access_table import Row


def send(
    line: Row, world: Mapping[str, Any], user: User | None, *, bearer: str = ""
) -> HttpResponseBase:
    """The answer to a signed-in person, to a key, or to nobody."""
    client = Client(
        raise_request_exception=True,
        headers={"Authorization": f"Bearer {bearer}"} if bearer else None,
    )
    if user is not None:
        client.force_login(user)
    path = reverse(line.name, kwargs=_filled(line.arguments, world))
    path += f"?{line.query}" if line.query else ""
    if line.method == "GET":
        return client.get(path)
    body = _filled(line.body, world)
    if line.json:
        sent = json.dumps(body)
        return client.generic(line.method, path, sent, content_type="application/json")
    return client.post(path, body)


def _filled(values: Mapping[str, Any], world: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value(value, world) for key, value in values.items()}


def _value(value: Any, world: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_value(item, world) for item in value]
    is_name = isinstance(value, str) and value.startswith("@")
    return world[value[1:]] if is_name else value
