"""API keys: the list, a new one shown once, and revocation."""

import json

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_safe,
)

from audit.history import history_of
from audit.services.exports import MOST_ROWS, export
from audit.web import AUDIT_READ
from core.clock import now
from core.errors import NotFound
from core.tables import chips, filters_of, paged
from policy import scopes, selectors
from policy.access import IDENTITY_ADMIN, IDENTITY_READ, POLICY_READ
from policy.filters import STATES, KeyFilter
from policy.forms import KeyForm, RevokeForm
from policy.models import Team
from policy.services import keys
from policy.services.keys import NewKey
from policy.views import once
from policy.views.forms import attempt, posted
from policy.web import Request, actor_of, requires

_COLUMNS = (
    "name",
    "prefix",
    "team",
    "service_account",
    "environment",
    "project",
    "scopes",
    "state",
    "created_at",
    "created_by",
    "expires_at",
    "last_used_at",
    "revoked_at",
)
_LABELS = {
    "q": "Name",
    "team": "Team",
    "environment": "Environment",
    "state": "State",
}


@require_safe
@requires(IDENTITY_READ)
def key_list(request: Request) -> HttpResponseBase:
    """Keys of the teams this person may see."""
    at = now()
    found = KeyFilter(request.GET, queryset=selectors.visible_keys(request.access))
    if form := request.GET.get("export"):
        return export(
            name="keys",
            form=form,
            columns=_COLUMNS,
            rows=(selectors.key_cells(key, at=at) for key in found.qs[:MOST_ROWS]),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    page = paged(found.qs, request)
    context = {
        "page": page,
        "rows": [(key, key.state(at=at)) for key in page],
        "chips": chips(request, _LABELS),
        "teams": selectors.visible_teams(request.access).order_by("name"),
        "environments": selectors.environments(),
        "states": STATES,
        "may_change": request.access.may(IDENTITY_ADMIN),
        "may_see_access": request.access.may(POLICY_READ),
        "may_audit": request.access.may(AUDIT_READ),
        "at": at,
    }
    return render(request, "settings/keys.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def key_create(request: Request) -> HttpResponse:
    """A new key of the team in ``?team=``; the next page shows its text once."""
    slug = request.GET.get("team", "")
    if not slug:
        teams = selectors.visible_teams(request.access).order_by("name")
        return render(request, "settings/key_team.html", {"teams": teams})
    team = selectors.visible_team(request.access, slug)
    form = KeyForm(posted(request), team=team)
    made: list[NewKey] = []
    if request.method == "POST" and attempt(
        form, lambda: made.append(_make(request, team, form))
    ):
        once.keep(request, "key", {"id": made[0].key.pk, "text": made[0].text})
        return redirect("key_created")
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "team": team}
    return render(request, "settings/key_create.html", context, status=status)


@never_cache
@require_GET
@requires(IDENTITY_ADMIN)
def key_created(request: Request) -> HttpResponse:
    """The text of the key just made; a second look finds nothing."""
    kept = once.take(request, "key")
    if kept is None:
        messages.warning(
            request,
            "A key's text is shown once. If you did not store it, revoke the key and "
            "create another.",
        )
        return redirect("keys")
    key = selectors.visible_keys(request.access).get(pk=kept["id"])
    context = _shown_once(NewKey(key, kept["text"]))
    return render(request, "settings/key_created.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def key_revoke(request: Request, pk: int) -> HttpResponse:
    """Ask for the reason, then make the key useless."""
    at = now()
    key = selectors.visible_keys(request.access).filter(pk=pk).first()
    if key is None:
        raise NotFound("There is no such key that you may see.")
    form = RevokeForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: keys.revoke_key(
            key_id=pk,
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=at,
        ),
    ):
        messages.success(request, f"{key.name} was revoked and stops working now.")
        return redirect("keys")
    history = history_of(request.access, "key", str(pk))
    context = {"form": form, "key": key, "state": key.state(at=at), **history}
    status = 422 if request.method == "POST" else 200
    return render(request, "settings/key_revoke.html", context, status=status)


def _make(request: Request, team: Team, form: KeyForm) -> NewKey:
    values = form.cleaned_data
    return keys.create_key_for(
        team=team,
        account=values["account"],
        new_account=values["new_account"],
        name=values["name"],
        environment=values["environment"],
        project=values["project"],
        granted=form.granted,
        expires_at=form.expires_at,
        actor=actor_of(request),
        at=now(),
    )


def _shown_once(new: NewKey) -> dict[str, object]:
    context = {"key": new.key, "text": new.text} | client_of(new.text)
    if scopes.covers(new.key.scopes, scopes.MODELS_USE):
        context["models"] = (
            f"export OPENAI_BASE_URL={settings.PUBLIC_URL}/v1\n"
            f"export OPENAI_API_KEY={new.text}"
        )
    return context


def client_of(text: str) -> dict[str, str]:
    """How an MCP client is set up with a key: a configuration and a command."""
    url = f"{settings.PUBLIC_URL}/mcp"
    client = {
        "mcpServers": {
            "tollgate": {
                "type": "http",
                "url": url,
                "headers": {"Authorization": f"Bearer {text}"},
            }
        }
    }
    return {
        "client": json.dumps(client, indent=2),
        "command": f"claude mcp add --transport http tollgate {url} "
        f'--header "Authorization: Bearer {text}"',
    }
