"""Lets a team or a role call a server or a tool, and takes it back."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from core.clock import now
from core.errors import Invalid
from gateway.models import Server, Tag, Tool
from gateway.selectors.grants import (
    role_choices,
    subject_named,
    subject_text,
    team_choices,
)
from gateway.services import access
from gateway.services.access import Grantable
from policy.access import POLICY_ADMIN, POLICY_READ
from policy.holders import TEAM, Holder, parse
from policy.web import Request, actor_of, requires


def grant_form(request: Request, subject: Grantable) -> dict[str, Any]:
    """What the form that gives a grant needs, for those who may."""
    may = request.access.may(POLICY_ADMIN)
    return {
        "may_grant": may,
        "may_see_access": request.access.may(POLICY_READ),
        "subject_text": subject_text(subject),
        "team_choices": team_choices() if may else [],
        "role_choices": role_choices() if may else [],
    }


def _holder(request: Request) -> Holder:
    holder = parse(request.POST.get("holder", ""))
    if holder is None:
        raise Invalid("Choose a team or a role from the list.")
    place = request.POST.get("environment", "")
    return replace(holder, environment=place) if place else holder


def _back(request: Request, subject: Grantable, holder: Holder) -> HttpResponse:
    if request.POST.get("next") == "team" and holder.kind == TEAM:
        return redirect("team", holder.name)
    if isinstance(subject, Tool):
        return redirect("tool", subject.server.name, subject.name)
    if isinstance(subject, Server):
        return redirect("server", subject.name)
    return redirect("tools")


def _name(subject: Grantable) -> str:
    if isinstance(subject, Tool):
        return subject.full_name
    if isinstance(subject, Tag):
        return f"every tool tagged {subject.name}"
    return f"every tool of {subject.name}"


@require_POST
@requires(POLICY_ADMIN)
def grant_give(request: Request) -> HttpResponse:
    """Give a grant, with the reason for the trail."""
    subject, holder = subject_named(request.POST.get("subject", "")), _holder(request)
    access.give(
        subjects=[subject],
        holders=[holder],
        reason=request.POST.get("reason", ""),
        actor=actor_of(request),
        at=now(),
    )
    messages.success(request, f"The {holder.label} may call {_name(subject)} now.")
    return _back(request, subject, holder)


@require_POST
@requires(POLICY_ADMIN)
def grant_take(request: Request) -> HttpResponse:
    """Take a grant back, with the reason for the trail."""
    subject, holder = subject_named(request.POST.get("subject", "")), _holder(request)
    access.take(
        subjects=[subject],
        holders=[holder],
        reason=request.POST.get("reason", ""),
        actor=actor_of(request),
        at=now(),
    )
    messages.success(
        request, f"The grant of {_name(subject)} to {holder.label} is taken back."
    )
    return _back(request, subject, holder)
