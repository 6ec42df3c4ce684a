"""Teams: the list, a new one, and one team with all that belongs to it."""

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from audit.history import history_of
from core.clock import now
from core.errors import NotFound
from policy import selectors
from policy.access import IDENTITY_ADMIN, IDENTITY_READ, POLICY_ADMIN, POLICY_READ
from policy.forms import (
    AccountForm,
    MemberForm,
    ProjectForm,
    TeamChangeForm,
    TeamForm,
)
from policy.models import Team
from policy.quota_selectors import quotas_of
from policy.services import teams
from policy.views.forms import attempt, posted
from policy.web import Request, actor_of, requires

_FORMS: dict[str, type[forms.Form]] = {
    "member": MemberForm,
    "project": ProjectForm,
    "account": AccountForm,
    "team": TeamChangeForm,
}


@require_safe
@requires(IDENTITY_READ)
def team_list(request: Request) -> HttpResponse:
    """Every team this person may see."""
    rows = selectors.team_rows(request.access, at=now())
    return render(
        request,
        "settings/teams.html",
        {"rows": rows, "may_change": request.access.may(IDENTITY_ADMIN)},
    )


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def team_add(request: Request) -> HttpResponse:
    """A new team."""
    form = TeamForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: teams.create_team(
            **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, f"Team {form.cleaned_data['name']} was created.")
        return redirect("team", form.cleaned_data["slug"])
    status = 422 if request.method == "POST" else 200
    return render(request, "settings/team_add.html", {"form": form}, status=status)


@require_safe
@requires(IDENTITY_READ)
def team(request: Request, slug: str) -> HttpResponse:
    """One team."""
    return _page(request, selectors.visible_team(request.access, slug))


@require_POST
@requires(IDENTITY_ADMIN)
def team_change(request: Request, slug: str) -> HttpResponse:
    """Rename the team, or move it to another cost centre."""
    found = selectors.visible_team(request.access, slug)
    form = _form("team", request)
    done = attempt(
        form,
        lambda: teams.change_team(
            team_id=found.pk, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    )
    return _after(request, found, "team", form, done, "The team was changed.")


@require_POST
@requires(IDENTITY_ADMIN)
def member_add(request: Request, slug: str) -> HttpResponse:
    """Give a person a role in the team."""
    found = selectors.visible_team(request.access, slug)
    form = _form("member", request)
    done = attempt(
        form,
        lambda: teams.add_member(
            team=found,
            user=form.cleaned_data["username"],
            role=form.cleaned_data["role"],
            actor=actor_of(request),
            at=now(),
        ),
    )
    return _after(request, found, "member", form, done, "The role was given.")


@require_POST
@requires(IDENTITY_ADMIN)
def member_remove(request: Request, slug: str, pk: int) -> HttpResponse:
    """Take a role back."""
    found = selectors.visible_team(request.access, slug)
    if not found.memberships.filter(pk=pk).exists():
        raise NotFound("There is no such membership: it may be gone already.")
    teams.remove_member(membership_id=pk, actor=actor_of(request), at=now())
    messages.success(request, "The role was taken back.")
    return redirect("team", slug)


@require_POST
@requires(IDENTITY_ADMIN)
def project_add(request: Request, slug: str) -> HttpResponse:
    """A new project of the team."""
    found = selectors.visible_team(request.access, slug)
    form = _form("project", request)
    done = attempt(
        form,
        lambda: teams.create_project(
            team=found, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    )
    return _after(request, found, "project", form, done, "The project was created.")


@require_POST
@requires(IDENTITY_ADMIN)
def account_add(request: Request, slug: str) -> HttpResponse:
    """A new service account of the team."""
    found = selectors.visible_team(request.access, slug)
    form = _form("account", request)
    done = attempt(
        form,
        lambda: teams.create_service_account(
            team=found, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    )
    return _after(
        request, found, "account", form, done, "The service account was created."
    )


def _form(name: str, request: Request | None = None) -> forms.Form:
    """One of the page's forms; its ids are its own, since they share field names."""
    return _FORMS[name](request.POST if request else None, auto_id=f"id_{name}_%s")


def _after(
    request: Request, found: Team, name: str, form: forms.Form, done: bool, words: str
) -> HttpResponse:
    if done:
        messages.success(request, words)
        return redirect("team", found.slug)
    return _page(request, found, status=422, name=name, form=form)


def _page(
    request: Request,
    found: Team,
    *,
    status: int = 200,
    name: str = "",
    form: forms.Form | None = None,
) -> HttpResponse:
    at = now()
    made = {f"{key}_form": _form(key) for key in _FORMS}
    made["team_form"].initial = {"name": found.name, "cost_centre": found.cost_centre}
    if form is not None:
        made[f"{name}_form"] = form
    context = {
        "team": found,
        "members": selectors.members_of(found),
        "projects": found.projects.order_by("slug", "pk"),
        "accounts": selectors.accounts_of(found, at=at),
        "quotas": quotas_of(found.pk, at=at),
        "grants": selectors.grants_of(found),
        "may_change": request.access.may(IDENTITY_ADMIN),
        "sandboxing": selectors.sandboxing_line({"team": found}),
        **history_of(request.access, "team", found.slug),
        "may_grant": request.access.may(POLICY_ADMIN),
        "may_see_access": request.access.may(POLICY_READ),
        "at": at,
        **made,
    }
    return render(request, "settings/team.html", context, status=status)
