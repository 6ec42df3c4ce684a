"""Pages of model servers: list, add, one server, change, test and pause."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from audit.history import history_of
from audit.redact import redact_text
from audit.services.exports import export
from core.clock import now
from core.errors import TollgateError
from core.tables import filters_of
from gateway.model_server_forms import ModelServerChangeForm, ModelServerForm
from gateway.selectors.model_servers import model_servers, models_of, recent_calls
from gateway.services import model_servers as services
from policy.access import CATALOG_ADMIN, CATALOG_READ, RUNS_READ
from policy.web import Request, actor_of, requires

_COLUMNS = (
    "name",
    "description",
    "provider",
    "models",
    "enabled",
    "calls_7_days",
    "not_answered_7_days",
    "tested_at",
    "test_error",
)


@require_GET
@requires(CATALOG_READ)
def model_server_list(request: Request) -> HttpResponseBase:
    """Every model server, what it offers and how it does."""
    at = now()
    found = model_servers(at=at).defer("secrets")
    if form := request.GET.get("export"):
        return export(
            name="model-servers",
            form=form,
            columns=_COLUMNS,
            rows=_rows(found),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    context = {
        "servers": list(found),
        "may_admin": request.access.may(CATALOG_ADMIN),
        "at": at,
    }
    return render(request, "catalog/model_servers.html", context)


def _rows(found: Iterable[Any]) -> Iterator[list[Any]]:
    for server in found:
        yield [
            server.name,
            server.description,
            server.provider,
            " ".join(sorted(server.offered)),
            server.enabled,
            server.calls,
            server.failed,
            server.tested_at,
            server.test_error,
        ]


@require_http_methods(["GET", "HEAD", "POST"])
@requires(CATALOG_ADMIN)
def model_server_add(request: Request) -> HttpResponse:
    """Offer the models of one more server."""
    form = ModelServerForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["name"]
        try:
            services.add_model_server(
                name=name, wanted=form.wanted(), actor=actor_of(request), at=now()
            )
        except TollgateError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"{name} was added. Test its connection.")
            return redirect("model_server", name)
    status = 422 if form.is_bound else 200
    context = {"form": form}
    return render(request, "catalog/model_server_add.html", context, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(CATALOG_ADMIN)
def model_server_change(request: Request, name: str) -> HttpResponse:
    """Change where a server is and what of it is offered."""
    server = services.model_server_named(name)
    form = ModelServerChangeForm(
        request.POST if request.method == "POST" else None, server=server
    )
    if request.method == "POST" and form.is_valid():
        try:
            services.change_model_server(
                name=name, wanted=form.wanted(), actor=actor_of(request), at=now()
            )
        except TollgateError as error:
            form.add_error(None, error.message)
        else:
            messages.success(request, f"{name} was changed.")
            return redirect("model_server", name)
    status = 422 if form.is_bound else 200
    context = {"form": form, "server": server}
    return render(request, "catalog/model_server_change.html", context, status=status)


@require_POST
@requires(CATALOG_ADMIN)
def model_server_test(request: Request, name: str) -> HttpResponse:
    """Ask the server for its models, and say what it answered."""
    tested = services.try_model_server(name=name, actor=actor_of(request), at=now())
    if tested.error:
        messages.error(request, f"{name} does not answer: {tested.error}")
    else:
        known = ", ".join(tested.models[:10]) or "none"
        messages.success(request, f"{name} answers. Its models: {known}.")
    return redirect("model_server", name)


@require_POST
@requires(CATALOG_ADMIN)
def model_server_status(request: Request, name: str) -> HttpResponse:
    """Offer its models, or none of them."""
    server = services.set_model_server_enabled(
        name=name,
        enabled=request.POST.get("enabled") == "yes",
        actor=actor_of(request),
        at=now(),
    )
    said = "offers its models" if server.enabled else "is paused"
    messages.success(request, f"{name} {said} now.")
    return redirect("model_server", name)


@require_GET
@requires(CATALOG_READ)
def model_server_detail(request: Request, name: str) -> HttpResponse:
    """One server: its models, the newest calls, who changed it."""
    server = services.model_server_named(name)
    at = now()
    context = {
        "server": server,
        "address": redact_text(server.url),
        "models": models_of(server, at=at),
        "calls": recent_calls(server, teams=request.access.teams_for(RUNS_READ)),
        "may_admin": request.access.may(CATALOG_ADMIN),
        **history_of(request.access, "model_server", name, name="model_server."),
        "at": at,
    }
    return render(request, "catalog/model_server.html", context)
