"""The approver of a campaign: decides on calls and unknown outcomes over REST."""

import random
import secrets
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from django.conf import settings
from django.test import Client

from core.clock import now
from policy.models import User
from tests.soak.ledger import Ledger

_PAUSE_SECONDS = 0.5
_REJECTED_SHARE = 0.2
_ABANDONED_SHARE = 0.15


def session_of(user: User) -> dict[str, str]:
    """The cookies of somebody who has signed in."""
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    token = secrets.token_hex(16)
    return {
        settings.SESSION_COOKIE_NAME: session,
        settings.CSRF_COOKIE_NAME: token,
    }


@dataclass(slots=True)
class Approver:
    """Looks at what waits twice a second, and consults the ledger before deciding."""

    url: str
    cookies: dict[str, str]
    ledger: Path
    seed: int
    decided: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Decide whatever waits, until told to stop; web may be away."""
        with httpx2.Client(
            base_url=f"{self.url}/api/v1/",
            cookies=self.cookies,
            headers={"X-CSRFToken": self.cookies[settings.CSRF_COOKIE_NAME]},
            timeout=15,
        ) as web:
            while not self.stopping.wait(_PAUSE_SECONDS):
                try:
                    self._approvals(web)
                    self._outcomes(web)
                except httpx2.HTTPError as error:
                    self.refused[type(error).__name__] += 1

    def _approvals(self, web: httpx2.Client) -> None:
        for asked in _list(web, "approvals/"):
            entry = asked["arguments"]["entry"]
            approve = self._draw("approval", entry) > _REJECTED_SHARE
            self._say(
                web,
                f"approvals/{asked['approval']}/decide/",
                {"approve": approve, "reason": "as drawn"},
                "approved" if approve else "rejected",
            )

    def _outcomes(self, web: httpx2.Client) -> None:
        for call in _list(web, "outcomes/"):
            # The call is over by then: who looks earlier may see too little.
            if datetime.fromisoformat(call["decide_from"]) >= now():
                continue
            entry = call["arguments"]["entry"]
            body: dict[str, Any] = {"resolution": "did_not", "reason": "not there"}
            if effects := Ledger(self.ledger).effects(entry):
                body = {
                    "resolution": "happened",
                    "reason": "in the ledger",
                    "value": effects[0].receipt,
                }
            if self._draw("outcome", entry) < _ABANDONED_SHARE:
                body = {"resolution": "abandon", "reason": "as drawn"}
            self._say(web, f"outcomes/{call['id']}/", body, body["resolution"])

    def _say(
        self, web: httpx2.Client, path: str, body: dict[str, Any], what: str
    ) -> None:
        response = web.post(path, json=body)
        if response.status_code == 200:
            self.decided[what] += 1
        else:
            # Decided by an answer that was lost, or cannot be decided yet.
            self.refused[f"{what}: {response.status_code}"] += 1

    def _draw(self, what: str, entry: str) -> float:
        return random.Random(f"{self.seed} {what} {entry}").random()


def _list(web: httpx2.Client, path: str) -> list[dict[str, Any]]:
    response = web.get(path)
    if response.status_code != 200:
        return []
    found: list[dict[str, Any]] = response.json()["results"]
    return found
