"""What can they call, and who can call this: both with through what."""

from collections.abc import Iterable
from typing import Any

from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit.services.exports import export
from core.clock import now
from core.tables import chips, filters_of, paged
from gateway.selectors import reach
from gateway.selectors.tools import tool_named
from policy.access import POLICY_READ
from policy.selectors import environments
from policy.web import Request, actor_of, requires

_REACH_COLUMNS = ("tool", "effect", "environment", "through", "in_scope")


def environment_tabs(
    request: Request, current: str, *, every: bool = False
) -> list[dict[str, Any]]:
    """A tab for each environment, and one for all of them together."""
    shown = [("", "Every environment")] if every else []
    shown += [(place.slug, place.name) for place in environments()]
    tabs = []
    for slug, name in shown:
        query = request.GET.copy()
        query.pop("export", None)
        query["environment"] = slug
        url = f"{request.path}?{query.urlencode()}"
        tabs.append({"label": name, "url": url, "current": slug == current})
    return tabs


@require_safe
@requires(POLICY_READ)
def access_reach(request: Request) -> HttpResponseBase:
    """What a team, a role or a key can call, and through what."""
    asked = reach.reached(
        request.access,
        key=request.GET.get("key", ""),
        holder=request.GET.get("holder", ""),
        environment=request.GET.get("environment", ""),
    )
    place, found = asked.environment, asked.reach
    tools = found.named(request.GET.get("q", ""))
    if form := request.GET.get("export"):
        rows = (
            [one.name, one.effect, place, "; ".join(one.through), one.in_scope]
            for one in tools
        )
        return _download(request, "reach", form, _REACH_COLUMNS, rows)
    context = {
        "about": asked,
        "reach": found,
        "environment": place,
        "page": paged(tools, request),
        "tabs": [] if asked.key else environment_tabs(request, place),
        "chips": chips(request, {"q": "Tool"}),
    }
    return render(request, "policy/reach.html", context)


@require_safe
@requires(POLICY_READ)
def access_callers(request: Request, server: str, name: str) -> HttpResponseBase:
    """Who can call a tool in an environment, and through what."""
    tool = tool_named(server, name)
    place = reach.place_named(request.GET.get("environment", ""))
    found = reach.callers_of(tool, place, rights=request.access, at=now())
    if form := request.GET.get("export"):
        return _download(request, "callers", form, reach.CALLER_COLUMNS, found.rows())
    context = {
        "tool": tool,
        "environment": place,
        "callers": found,
        "page": paged(found.keys, request),
        "tabs": environment_tabs(request, place),
    }
    return render(request, "policy/callers.html", context)


def _download(
    request: Request,
    name: str,
    form: str,
    columns: tuple[str, ...],
    rows: Iterable[list[Any]],
) -> HttpResponseBase:
    return export(
        name=name,
        form=form,
        columns=columns,
        rows=rows,
        filters=filters_of(request),
        actor=actor_of(request),
        at=now(),
    )
