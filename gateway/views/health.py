"""Health for load balancers and figures for Prometheus."""

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from core.errors import Denied
from gateway.selectors.metrics import exposition


@login_not_required
@require_safe
def healthz(_: HttpRequest) -> JsonResponse:
    """This process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@login_not_required
@require_safe
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
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text format: queue, runs, calls, audit and catalog.

    With TOLLGATE_METRICS_TOKEN set, that token as bearer is needed; production mode
    serves nothing without it.
    """
    token = settings.METRICS_TOKEN
    if not token and settings.PRODUCTION:
        raise Denied("Set TOLLGATE_METRICS_TOKEN to have figures served.")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token and not constant_time_compare(given, token):
        raise Denied("Send the metrics token as 'Authorization: Bearer …'.")
    return HttpResponse(
        exposition(), content_type="text/plain; version=0.0.4; charset=utf-8"
    )
