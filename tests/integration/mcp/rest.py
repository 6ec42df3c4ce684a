"""What people do over REST, with a session, while scripts run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
from django.conf import settings

from policy.models import User
from tests.soak.people import session_of
from tests.stack import Stack


@contextmanager
def signed_in(stack: Stack, user: User) -> Iterator[httpx2.Client]:
    """Somebody's client, whose paths begin after ``/api/v1/``."""
    with stack.database():
        cookies = session_of(user)
    with httpx2.Client(
        base_url=f"{stack.url}/api/v1/",
        cookies=cookies,
        headers={"X-CSRFToken": cookies[settings.CSRF_COOKIE_NAME]},
        timeout=30,
    ) as client:
        yield client


def post(client: httpx2.Client, path: str, body: Any) -> dict[str, Any]:
    """What a request that has to succeed is answered."""
    response = client.post(path, json=body)
    assert response.is_success, response.text
    answer: dict[str, Any] = response.json()
    return answer


def publish(admin: httpx2.Client, *rules: dict[str, Any]) -> int:
    """Make these the live rules; the number of their version."""
    draft = post(admin, "policy/drafts/", {"name": "test", "rules": rules})
    path = f"policy/drafts/{draft['uid']}/publish/"
    number: int = post(admin, path, {"reason": "test"})["number"]
    return number
