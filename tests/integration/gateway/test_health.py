"""Health and figures."""

import pytest
from django.test import Client
from pytest_django import Settings

pytestmark = pytest.mark.django_db


def test_a_healthy_installation_says_so(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["parts"] == {"postgresql": "ok", "redis": "ok"}


def test_a_missing_broker_is_named(client: Client, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["parts"]["redis"] == "does not answer"


def test_figures_need_their_token(client: Client, settings: Settings) -> None:
    assert b"tollgate_queue_messages" in client.get("/metrics").content
    settings.METRICS_TOKEN = "a-long-metrics-token"
    assert client.get("/metrics").status_code == 403
    headers = {"Authorization": "Bearer a-long-metrics-token"}
    assert client.get("/metrics", headers=headers).status_code == 200
    settings.METRICS_TOKEN, settings.PRODUCTION = "", True
    assert client.get("/metrics").status_code == 403
