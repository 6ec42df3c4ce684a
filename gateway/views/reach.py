"""What can they call, and who can call this: both with through what."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from audit.services.exports import export
from core.clock import now
from core.errors import NotFound
from core.tables import chips, filters_of, paged
from gateway.selectors import reach
from gateway.selectors.grants import role_name
from gateway.selectors.tools import tool_named
from policy.access import POLICY_READ
from policy.holders import TEAM, parse
from policy.models import Environment, Membership
from policy.selectors import environments, visible_team
from policy.web import Request, actor_of, requires

_REACH_COLUMNS = ("tool", "effect", "environment", "through", "in_scope")
_CALLER_COLUMNS = ("kind", "caller", "team", "environment", "through")


def environment_named(slug: str) -> str:
    """The same slug. Raises NotFound where there is no such environment."""
    if not Environment.objects.filter(slug=slug.replace("\x00", "")).exists():
        raise NotFound("There is no such environment: choose one of the tabs.")
    return slug


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
    place, found, about = _reached(request)
    words = request.GET.get("q", "").lower().replace("\x00", "").split()
    tools = [one for one in found.tools if all(word in one.name for word in words)]
    if form := request.GET.get("export"):
        rows = (
            [one.name, one.effect, place, "; ".join(one.through), one.in_scope]
            for one in tools
        )
        return _download(request, "reach", form, _REACH_COLUMNS, rows)
    context = {
        "about": about,
        "reach": found,
        "environment": place,
        "page": paged(tools, request),
        "tabs": [] if "key" in about else environment_tabs(request, place),
        "chips": chips(request, {"q": "Tool"}),
    }
    return render(request, "policy/reach.html", context)


def _reached(request: Request) -> tuple[str, reach.Reach, dict[str, Any]]:
    if pk := request.GET.get("key", ""):
        key = reach.key_visible(request.access, pk)
        return key.environment.slug, reach.reach_of_key(key), {"key": key}
    holder = parse(request.GET.get("holder", ""))
    if holder is None or holder.environment:
        raise NotFound("Ask for a team, a role or a key: start from the matrix.")
    place = _place(request)
    if holder.kind == TEAM:
        team = visible_team(request.access, holder.name)
        return place, reach.reach_of(holder, place), {"team": team, "holder": holder}
    if holder.name not in Membership.Role.values:
        raise NotFound(f"There is no role {holder.name}.")
    about = {"role": role_name(holder.name), "holder": holder}
    return place, reach.reach_of(holder, place), about


def _place(request: Request) -> str:
    """The environment asked for, else the first one."""
    if slug := request.GET.get("environment", ""):
        return environment_named(slug)
    first = environments().first()
    if first is None:
        raise NotFound("There is no environment yet: add one under Settings.")
    return first.slug


@require_safe
@requires(POLICY_READ)
def access_callers(request: Request, server: str, name: str) -> HttpResponseBase:
    """Who can call a tool in an environment, and through what."""
    tool, place = tool_named(server, name), _place(request)
    found = reach.callers_of(tool, place, rights=request.access, at=now())
    if form := request.GET.get("export"):
        return _download(request, "callers", form, _CALLER_COLUMNS, _callers(found))
    context = {
        "tool": tool,
        "environment": place,
        "callers": found,
        "page": paged(found.keys, request),
        "tabs": environment_tabs(request, place),
    }
    return render(request, "policy/callers.html", context)


def _callers(found: reach.Callers) -> Iterator[list[Any]]:
    for grant in found.grants:
        on = f"{grant.kind} {grant.key}" if grant.kind else "the tool itself"
        place = grant.holder.environment or "every environment"
        team = grant.holder.name if grant.holder.kind == TEAM else ""
        yield [f"{grant.holder.kind} grant", grant.name, team, place, on]
    for key in found.keys:
        account = key.service_account
        label = f"{account.name}: {key.name} ({key.prefix}…)"
        yield ["key", label, account.team.slug, key.environment.slug, "its team"]
    for person in found.people:
        yield ["person", person.user.username, person.team.slug, "", person.role]


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
