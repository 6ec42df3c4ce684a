"""Gives a team a server or a tool to call, and takes it back."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from core.clock import now
from core.errors import NotFound
from gateway.models import Server, Tool
from gateway.selectors.grants import team_with
from gateway.selectors.servers import server_named
from gateway.selectors.tools import tool_named
from gateway.services import access
from policy.access import CATALOG_ADMIN
from policy.models import Team
from policy.web import Request, actor_of, requires


def _team(request: Request) -> Team:
    team = team_with(request.POST.get("team", ""))
    if team is None:
        raise NotFound("There is no such team: choose one from the list.")
    return team


def _subject(request: Request) -> Server | Tool:
    server, tool = request.POST.get("server", ""), request.POST.get("tool", "")
    return tool_named(server, tool) if tool else server_named(server)


def _back(request: Request, subject: Server | Tool, team: Team) -> HttpResponse:
    if request.POST.get("next") == "team":
        return redirect("team", team.slug)
    if isinstance(subject, Tool):
        return redirect("tool", subject.server.name, subject.name)
    return redirect("server", subject.name)


def _name(subject: Server | Tool) -> str:
    if isinstance(subject, Tool):
        return subject.full_name
    return f"every tool of {subject.name}"


@require_POST
@requires(CATALOG_ADMIN)
def grant_give(request: Request) -> HttpResponse:
    """Let a team call a server's tools, or one tool."""
    subject, team = _subject(request), _team(request)
    actor, at = actor_of(request), now()
    if isinstance(subject, Tool):
        access.grant_tool(team=team, tool=subject, actor=actor, at=at)
    else:
        access.grant_server(team=team, server=subject, actor=actor, at=at)
    messages.success(request, f"{team.name} may call {_name(subject)} now.")
    return _back(request, subject, team)


@require_POST
@requires(CATALOG_ADMIN)
def grant_take(request: Request) -> HttpResponse:
    """Take a team's grant back; runs submitted from now on no longer have it."""
    subject, team = _subject(request), _team(request)
    actor, at = actor_of(request), now()
    if isinstance(subject, Tool):
        access.revoke_tool(team=team, tool=subject, actor=actor, at=at)
    else:
        access.revoke_server(team=team, server=subject, actor=actor, at=at)
    messages.success(request, f"{team.name} may no longer call {_name(subject)}.")
    return _back(request, subject, team)
