"""Pages of approver groups: whom a route may name beside roles."""

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
from core.tables import paged
from policy import approvers
from policy.access import IDENTITY_ADMIN, IDENTITY_READ
from policy.approval_forms import GroupChangeForm, GroupForm
from policy.services import approver_groups
from policy.views.forms import attempt, posted
from policy.web import Request, actor_of, requires


@require_safe
@requires(IDENTITY_READ)
def group_list(request: Request) -> HttpResponse:
    """All approver groups and who is in them."""
    page = paged(approvers.groups(), request)
    may_change = request.access.may(IDENTITY_ADMIN)
    context = {"page": page, "may_change": may_change}
    return render(request, "settings/approver_groups.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def group_add(request: Request) -> HttpResponse:
    """A new approver group."""
    form = GroupForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: approver_groups.create_group(
            **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The group was created: routes may name it now.")
        return redirect("approver_groups")
    status = 422 if request.method == "POST" else 200
    context = {"form": form}
    return render(request, "settings/approver_group.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def group_change(request: Request, slug: str) -> HttpResponse:
    """An approver group's name and people."""
    group = approvers.group(slug)
    initial = {
        "name": group.name,
        "description": group.description,
        "people": "\n".join(person.username for person in group.people.all()),
    }
    form = GroupChangeForm(posted(request), initial=initial)
    if request.method == "POST" and attempt(
        form,
        lambda: approver_groups.change_group(
            slug=slug, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, f"{group.slug} was changed.")
        return redirect("approver_groups")
    status = 422 if request.method == "POST" else 200
    history = history_of(request.access, "approver_group", group.slug)
    context = {"form": form, "group": group, **history}
    return render(request, "settings/approver_group.html", context, status=status)


@require_POST
@requires(IDENTITY_ADMIN)
def group_remove(request: Request, slug: str) -> HttpResponse:
    """Remove a group that nothing waits for."""
    approver_groups.remove_group(slug=slug, actor=actor_of(request), at=now())
    messages.success(request, f"{slug} was removed.")
    return redirect("approver_groups")
