"""Health for load balancers and figures for Prometheus."""

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from gateway.selectors.metrics import exposition


@login_not_required
def healthz(_: HttpRequest) -> JsonResponse:
    """This process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@login_not_required
def readyz(_: HttpRequest) -> JsonResponse:
    """The database, its migrations and the broker are there; 503 names what is not."""
    parts = {"postgresql": _database(), "redis": _broker()}
    good = all(word == "ok" for word in parts.values())
    return JsonResponse(
        {"status": "ok" if good else "unavailable", "parts": parts},
        status=200 if good else 503,
    )


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return "does not answer"
    return "migrations are missing: run manage.py migrate" if plan else "ok"


def _broker() -> str:
    try:
        redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2).ping()
    except (redis.RedisError, ValueError):
        return "does not answer"
    return "ok"


@login_not_required
def metrics(_: HttpRequest) -> HttpResponse:
    """Prometheus text format: queue, runs, calls, audit and catalog."""
    return HttpResponse(
        exposition(), content_type="text/plain; version=0.0.4; charset=utf-8"
    )
