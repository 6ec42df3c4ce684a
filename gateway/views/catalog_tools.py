"""Pages of tools: list, one tool, and its review."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from audit.history import history_of
from audit.services.exports import MOST_ROWS, export
from core.clock import now
from core.errors import Invalid
from core.tables import chips, filters_of, paged
from gateway.catalog import definition_of
from gateway.codemode.stubs import signature
from gateway.filters import ToolFilter
from gateway.forms import EffectForm, IdempotencyForm, ReviewForm, TagsForm
from gateway.models import Tool
from gateway.models.catalog import Effect
from gateway.selectors.grants import grants_on_tool
from gateway.selectors.tools import (
    Brief,
    all_tags,
    history,
    readers_beside,
    tool_named,
    tools,
    usage,
    usage_by_tool,
)
from gateway.services import catalog
from gateway.views.catalog_grants import grant_form
from policy.access import CATALOG_ADMIN, CATALOG_READ
from policy.models import Environment
from policy.sandbox import DIRECT, SCRIPT
from policy.views.forms import attempt
from policy.web import Request, actor_of, requires

_USAGE_DAYS = 30
_MOST_REVIEWED = 500
_COLUMNS = (
    "server",
    "tool",
    "effect",
    "effect_proposed",
    "effect_confirmed_by",
    "environments",
    "tags",
    "direct",
    "needs_approval",
    "idempotency",
    "version",
    "fingerprint",
    "definition_tokens",
    "removed_at",
)
_LABELS = {
    "q": "Search",
    "server": "Server",
    "effect": "Effect",
    "confirmed": "Review",
    "environment": "Enabled in",
    "tag": "Tag",
    "offered": "Offered",
}


@require_GET
@requires(CATALOG_READ)
def tool_list(request: Request) -> HttpResponseBase:
    """Tools with effect, environments and use; the place to review many at once."""
    filterset = ToolFilter(request.GET, queryset=tools())
    if form := request.GET.get("export"):
        return export(
            name="tools",
            form=form,
            columns=_COLUMNS,
            rows=_rows(filterset.qs[:MOST_ROWS]),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    page = paged(filterset.qs, request)
    names = [tool.full_name for tool in page]
    used = usage_by_tool(names, access=request.access, since=_since())
    context = {
        "page": page,
        "rows": [(tool, used.get(tool.full_name, Brief())) for tool in page],
        "total": Tool.objects.filter(removed_at=None).count(),
        "filter": filterset,
        "chips": chips(request, _LABELS),
        "tags": all_tags(),
        "environments": list(Environment.objects.order_by("position", "slug")),
        "may_admin": request.access.may(CATALOG_ADMIN),
        "usage_days": _USAGE_DAYS,
    }
    return render(request, "catalog/tools.html", context)


def _since() -> Any:
    return now() - timedelta(days=_USAGE_DAYS)


def _rows(found: Any) -> Iterator[list[Any]]:
    for tool in found:
        places = sorted(place.slug for place in tool.environments.all())
        yield [
            tool.server.name,
            tool.name,
            tool.effect,
            tool.effect_proposed,
            tool.effect_confirmed_by,
            " ".join(places),
            " ".join(tool.tags),
            tool.direct,
            tool.needs_approval,
            tool.idempotency,
            tool.current.number,
            tool.current.fingerprint,
            tool.current.definition_tokens,
            tool.removed_at,
        ]


@require_GET
@requires(CATALOG_READ)
def tool_detail(request: Request, server: str, name: str) -> HttpResponse:
    """One tool: signature, schemas, versions, review, grants and use."""
    return _page(request, tool_named(server, name), None, 200)


def _page(
    request: Request, tool: Tool, form: IdempotencyForm | None, status: int
) -> HttpResponse:
    full_name = tool.full_name
    grants = grants_on_tool(tool)
    may_admin = request.access.may(CATALOG_ADMIN)
    context = {
        "tool": tool,
        "signature": signature(definition_of(tool)),
        "history": history(tool),
        "usage": usage(full_name, access=request.access, since=_since()),
        "usage_days": _USAGE_DAYS,
        "grants": grants,
        **grant_form(request, tool),
        "effects": Effect.choices,
        "environments": list(Environment.objects.order_by("position", "slug")),
        "enabled_in": {place.slug for place in tool.environments.all()},
        "may_admin": may_admin,
        "key_form": form or _key_form(tool),
        "lookup_tools": readers_beside(tool) if may_admin else [],
        **history_of(request.access, "tool", full_name),
    }
    return render(request, "catalog/tool.html", context, status=status)


def _key_form(tool: Tool) -> IdempotencyForm:
    return IdempotencyForm(
        initial={
            "how": tool.idempotency,
            "name": tool.idempotency_name,
            "lookup": tool.lookup,
        }
    )


@require_POST
@requires(CATALOG_ADMIN)
def tool_effect(request: Request, server: str, name: str) -> HttpResponse:
    """Confirm what calls of the tool may do."""
    tool = tool_named(server, name)
    form = EffectForm(request.POST)
    if not form.is_valid():
        raise Invalid("Choose one of the effects: read, idempotent write or write.")
    catalog.confirm_effect(
        tool_id=tool.pk,
        effect=form.cleaned_data["effect"],
        actor=actor_of(request),
        at=now(),
    )
    messages.success(request, f"The effect of {tool.full_name} is confirmed.")
    return redirect("tool", server, name)


@require_POST
@requires(CATALOG_ADMIN)
def tool_environments(request: Request, server: str, name: str) -> HttpResponse:
    """Offer the tool in exactly the chosen environments."""
    tool = tool_named(server, name)
    catalog.set_environments(
        tool_ids=[tool.pk],
        environments=request.POST.getlist("environment"),
        actor=actor_of(request),
        at=now(),
    )
    messages.success(request, f"The environments of {tool.full_name} are set.")
    return redirect("tool", server, name)


@require_POST
@requires(CATALOG_ADMIN)
def tool_tags(request: Request, server: str, name: str) -> HttpResponse:
    """Replace the tool's tags."""
    tool = tool_named(server, name)
    form = TagsForm(request.POST)
    if not form.is_valid():
        raise Invalid("Tags together may have at most 400 characters.")
    catalog.set_tags(
        tool_id=tool.pk, tags=form.words(), actor=actor_of(request), at=now()
    )
    messages.success(request, f"The tags of {tool.full_name} are set.")
    return redirect("tool", server, name)


@require_POST
@requires(CATALOG_ADMIN)
def tool_direct(request: Request, server: str, name: str) -> HttpResponse:
    """Let the tool be called from scripts, directly as an MCP tool, or both."""
    tool = tool_named(server, name)
    ways = request.POST.getlist("ways")
    tool = catalog.set_ways(
        tool_id=tool.pk,
        script=SCRIPT in ways,
        direct=DIRECT in ways,
        actor=actor_of(request),
        at=now(),
    )
    messages.success(request, f"{tool.full_name} is called {tool.ways} now.")
    return redirect("tool", server, name)


@require_POST
@requires(CATALOG_ADMIN)
def tool_approval(request: Request, server: str, name: str) -> HttpResponse:
    """Have every call of the tool wait for an approval, or no longer."""
    tool = tool_named(server, name)
    needed = request.POST.get("needed") == "yes"
    catalog.set_approval(
        tool_id=tool.pk, needed=needed, actor=actor_of(request), at=now()
    )
    state = "needs an approval" if needed else "is made without an approval"
    messages.success(request, f"Every call of {tool.full_name} {state} from now on.")
    return redirect("tool", server, name)


@require_POST
@requires(CATALOG_ADMIN)
def tool_idempotency(request: Request, server: str, name: str) -> HttpResponse:
    """Say how the tool takes the key of a step, and how to look a call up."""
    tool = tool_named(server, name)
    form = IdempotencyForm(request.POST)

    def change() -> object:
        return catalog.set_idempotency(
            tool_id=tool.pk, actor=actor_of(request), at=now(), **form.cleaned_data
        )

    if not attempt(form, change):
        return _page(request, tool, form, 422)
    messages.success(request, f"How {tool.full_name} takes its key is set.")
    return redirect("tool", server, name)


@require_POST
@requires(CATALOG_ADMIN)
def tools_review(request: Request) -> HttpResponse:
    """Confirm, enable or disable many tools in one transaction."""
    known = _chosen(request)
    form = ReviewForm(request.POST, tool_ids=known)
    if not form.is_valid():
        raise Invalid("Tick at least one tool, then choose what to do with it.")
    done = _review(
        request, form.cleaned_data["act"], known, form.cleaned_data["environment"]
    )
    messages.success(request, done)
    return redirect(_way_back(request))


def _chosen(request: Request) -> list[int]:
    wanted = [int(pk) for pk in request.POST.getlist("tool") if pk.isdecimal()]
    return list(
        Tool.objects.filter(pk__in=wanted[:_MOST_REVIEWED])
        .order_by("pk")
        .values_list("pk", flat=True)
    )


@transaction.atomic
def _review(request: Request, act: str, ids: list[int], environment: str) -> str:
    actor, at = actor_of(request), now()
    if act == "confirm":
        catalog.confirm_effects(tool_ids=ids, actor=actor, at=at)
        return f"The proposed effects of {len(ids)} tools are confirmed."
    groups: dict[frozenset[str], list[int]] = {}
    rows = Tool.objects.filter(pk__in=ids).prefetch_related("environments")
    for tool in rows.order_by("pk"):
        before = frozenset(place.slug for place in tool.environments.all())
        after = before | {environment} if act == "enable" else before - {environment}
        if after != before:
            groups.setdefault(after, []).append(tool.pk)
    for places, members in groups.items():
        catalog.set_environments(
            tool_ids=members, environments=sorted(places), actor=actor, at=at
        )
    changed = sum(len(members) for members in groups.values())
    word = "enabled" if act == "enable" else "disabled"
    return f"{changed} of {len(ids)} tools are newly {word} in {environment}."


def _way_back(request: Request) -> str:
    """The list as it was filtered; never another site."""
    parts = urlsplit(request.POST.get("next", ""))
    own = parts.path.startswith("/catalog/") and not parts.netloc and not parts.scheme
    return f"{parts.path}?{parts.query}" if own else "tools"
