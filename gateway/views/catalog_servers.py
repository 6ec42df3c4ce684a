"""Pages of tool servers: list, add, one server, sync and switch."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.history import history_of
from audit.redact import redact_text
from audit.services.exports import export
from core.clock import now
from core.errors import TollgateError
from core.tables import chips, filters_of
from gateway.filters import ServerFilter
from gateway.forms import ServerChangeForm, ServerForm
from gateway.models import Server
from gateway.selectors.grants import grants_on_server
from gateway.selectors.servers import review_of, server_named, servers, tools_of
from gateway.services.catalog import (
    add_server,
    ask_for_sync,
    change_server,
    set_server_status,
)
from gateway.views.catalog_grants import grant_form
from policy.access import CATALOG_ADMIN, CATALOG_READ
from policy.models import Environment
from policy.web import Request, actor_of, requires

_COLUMNS = (
    "name",
    "description",
    "transport",
    "status",
    "health",
    "latency_seconds",
    "protocol",
    "tools",
    "unconfirmed_effects",
    "refused_tools",
    "synced_at",
    "last_error",
)
_LABELS = {
    "q": "Search",
    "status": "Status",
    "health": "Health",
    "transport": "Transport",
}
# The page of a server is a summary: the list of tools has pages and filters.
_MOST_SHOWN = 50
# After this long a sync that has not answered will not: the runner is away.
_SYNC_PATIENCE = timedelta(seconds=90)


@require_GET
@requires(CATALOG_READ)
def server_list(request: Request) -> HttpResponseBase:
    """Every server, with its health and how much of it is reviewed."""
    filterset = ServerFilter(request.GET, queryset=servers().defer("secrets"))
    if form := request.GET.get("export"):
        return export(
            name="servers",
            form=form,
            columns=_COLUMNS,
            rows=_rows(filterset.qs),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    context = {
        "servers": list(filterset.qs),
        "filter": filterset,
        "chips": chips(request, _LABELS),
        "may_admin": request.access.may(CATALOG_ADMIN),
        "at": now(),
    }
    return render(request, "catalog/servers.html", context)


def _rows(found: Any) -> Iterator[list[Any]]:
    for server in found:
        yield [
            server.name,
            server.description,
            server.transport,
            server.status,
            server.health,
            server.health_seconds,
            server.protocol,
            server.tool_count,
            server.unconfirmed,
            len(server.refused),
            server.synced_at,
            server.last_error,
        ]


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CATALOG_ADMIN)
def server_add(request: Request) -> HttpResponse:
    """Keep a new server as a draft and ask the runner to reach it."""
    form = ServerForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        at = now()
        try:
            server = add_server(**form.server(), actor=actor_of(request), at=at)
        except TollgateError as error:
            form.add_error(None, error.message)
        else:
            return _begin_sync(request, server, at)
    status = 422 if form.is_bound else 200
    return render(request, "catalog/server_add.html", {"form": form}, status=status)


def _begin_sync(request: Request, server: Server, at: datetime) -> HttpResponse:
    ask_for_sync(server=server, actor=actor_of(request))
    response = redirect("server", server.name)
    response["Location"] += f"?syncing={at:%Y-%m-%dT%H:%M:%S.%fZ}"
    return response


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(CATALOG_ADMIN)
def server_change(request: Request, name: str) -> HttpResponse:
    """Change where and how a server is reached, then reach it there."""
    server = server_named(name)
    form = ServerChangeForm(
        request.POST if request.method == "POST" else None, server=server
    )
    if request.method == "POST" and form.is_valid():
        at = now()
        try:
            change_server(
                server_id=server.pk, **form.change(), actor=actor_of(request), at=at
            )
        except TollgateError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"{name} was changed.")
            return _begin_sync(request, server, at)
    context = {"form": form, "server": server, "secret": form[form.secret_field]}
    status = 422 if form.is_bound else 200
    return render(request, "catalog/server_change.html", context, status=status)


@require_POST
@requires(CATALOG_ADMIN)
def server_sync(request: Request, name: str) -> HttpResponse:
    """Ask the runner to fetch the server's tools again."""
    return _begin_sync(request, server_named(name), now())


@require_POST
@requires(CATALOG_ADMIN)
def server_status(request: Request, name: str) -> HttpResponse:
    """Offer a server's tools, or take them all away."""
    server = set_server_status(
        server_id=server_named(name).pk,
        status=request.POST.get("status", ""),
        actor=actor_of(request),
        at=now(),
    )
    messages.success(request, f"{server.name} is {server.status} now.")
    return redirect("server", server.name)


@require_GET
@requires(CATALOG_READ)
def server_detail(request: Request, name: str) -> HttpResponse:
    """One server: state, tools, what was refused, who may call it, history."""
    server = server_named(name)
    at = now()
    grants = grants_on_server(server)
    offered = tools_of(server)
    context = {
        "server": server,
        "tools": list(offered[:_MOST_SHOWN]),
        "tool_count": offered.count(),
        "refused": server.refused[:_MOST_SHOWN],
        "review": review_of(server, granted=bool(grants)),
        "sync": _sync_state(server, request.GET.get("syncing", ""), at),
        "address": _address(server),
        "grants": grants,
        **grant_form(request, server),
        "environments": list(Environment.objects.order_by("position", "slug")),
        "may_admin": request.access.may(CATALOG_ADMIN),
        **history_of(request.access, "server", server.name),
        "at": at,
    }
    part = "#sync" if request.htmx and "syncing" in request.GET else ""
    response = render(request, f"catalog/server.html{part}", context)
    if part and context["sync"] != "waiting":
        if not context["sync"] and not server.last_error:
            messages.success(request, f"{name} was synced.")
        # The tools and facts below have changed as well.
        response["HX-Redirect"] = request.path
    return response


def _sync_state(server: Server, since: str, at: datetime) -> str:
    """``""``, ``waiting`` or ``overdue``: where a sync asked for at ``since`` is."""
    try:
        asked = parse_datetime(since)
    except ValueError:
        return ""
    if asked is None or asked.tzinfo is None:
        return ""
    if server.health_at and server.health_at >= asked:
        return ""
    return "overdue" if at - asked > _SYNC_PATIENCE else "waiting"


def _address(server: Server) -> str:
    if server.transport == Server.Transport.HTTP:
        return redact_text(server.url)
    return " ".join(redact_text(str(word)) for word in server.command)
