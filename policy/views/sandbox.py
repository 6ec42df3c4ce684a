"""Isolation and limits of an environment, a team, a key; tools that need gVisor."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from audit.history import history_of
from core.clock import now
from policy import selectors
from policy.access import IDENTITY_ADMIN
from policy.effective import effective
from policy.models import ApiKey, Environment, SandboxPolicy
from policy.sandbox import Rule
from policy.sandbox_forms import GVisorToolForm, SandboxForm
from policy.services.sandbox import Scope, set_sandbox_policy
from policy.views.forms import attempt, posted
from policy.web import Request, actor_of, requires


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def environment_sandbox(request: Request, slug: str) -> HttpResponse:
    """Isolation and limits of an environment."""
    found = get_object_or_404(Environment, slug=slug)
    return _page(request, Scope(environment=found), "environments")


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def team_sandbox(request: Request, slug: str) -> HttpResponse:
    """Isolation and limits of a team."""
    found = selectors.visible_team(request.access, slug)
    return _page(request, Scope(team=found), "team", found.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def key_sandbox(request: Request, pk: int) -> HttpResponse:
    """Isolation and limits of a key."""
    return _page(request, Scope(key=get_object_or_404(ApiKey, pk=pk)), "keys")


@require_POST
@requires(IDENTITY_ADMIN)
def gvisor_tool_add(request: Request) -> HttpResponse:
    """Let a tool, or a server's tools, be called only from gVisor."""
    form = GVisorToolForm(request.POST)
    if attempt(
        form,
        lambda: set_sandbox_policy(
            scope=Scope(tool=form.cleaned_data["tool"]),
            require_gvisor=True,
            limits={},
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=now(),
        ),
    ):
        messages.success(request, f"{form.cleaned_data['tool']} needs gVisor now.")
    else:
        errors = [str(error) for group in form.errors.values() for error in group]
        messages.error(request, " ".join(errors))
    return redirect("environments")


@require_POST
@requires(IDENTITY_ADMIN)
def gvisor_tool_remove(request: Request, pk: int) -> HttpResponse:
    """Let a tool be called from anywhere again."""
    found = get_object_or_404(SandboxPolicy.objects.exclude(tool=""), pk=pk)
    set_sandbox_policy(
        scope=Scope(tool=found.tool),
        limits={},
        reason=request.POST.get("reason", ""),
        actor=actor_of(request),
        at=now(),
    )
    messages.success(request, f"{found.tool} no longer needs gVisor.")
    return redirect("environments")


def _page(request: Request, scope: Scope, back: str, *where: str) -> HttpResponse:
    policy = selectors.sandbox_policy_of(scope.as_filter)
    rule = policy.rule if policy else Rule()
    initial = {
        "level": rule.level,
        "require_gvisor": rule.require_gvisor,
        "languages": rule.languages,
        "modes": rule.modes,
        "models": " ".join(rule.models),
        "require_model": rule.require_model,
    }
    form = SandboxForm(posted(request), initial=initial | dict(rule.limits))
    if request.method == "POST" and attempt(
        form,
        lambda: set_sandbox_policy(
            scope=scope,
            **form.wanted,
            actor=actor_of(request),
            at=now(),
        ),
    ):
        messages.success(request, "The sandbox policy was set.")
        return redirect(back, *where)
    place = request.GET.get("environment", "")[:40].replace("\x00", "")
    context = {
        "form": form,
        "label": scope.target.label,
        "kind": scope.target.kind.replace("_", " "),
        "back": back,
        "where": where[0] if where else "",
        "lines": effective(scope.rules(place)),
        "place": place,
        "places": selectors.environments() if scope.team else (),
        **history_of(
            request.access, scope.target.kind, scope.target.id, name="sandbox_policy."
        ),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "settings/sandbox.html", context, status=status)
