"""The page that replays a draft over the calls of the last days."""

from typing import Any

from django import forms
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from audit.services.exports import export
from core.clock import now
from core.errors import NotFound
from core.tables import chips, filters_of, paged
from gateway.models import PolicyReplay
from gateway.selectors.policy_replays import (
    EXPORT_COLUMNS,
    FILTERS,
    Result,
    exported,
    replays_of,
)
from gateway.services import policy_replay
from gateway.services.policy_replay import MOST_CALLS, MOST_DAYS, replay_for
from policy import rule_sets
from policy.access import POLICY_ADMIN, POLICY_READ, RUNS_READ
from policy.forms import TollgateForm
from policy.models import PolicyDraft
from policy.services import rules as versions
from policy.views.forms import attempt
from policy.web import Request, actor_of, refuse, requires

_LABELS = {
    "was": "Decided",
    "becomes": "Would be",
    "rule": "Rule",
    "team": "Team",
    "tool": "Tool",
    "key": "Key",
    "environment": "Environment",
}
_MOST_DOUBTFUL = 20


class ReplayForm(TollgateForm):
    """Over which calls."""

    days = forms.IntegerField(label="Days back", min_value=1, max_value=MOST_DAYS)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(POLICY_READ)
def draft_replay(request: Request, uid: str) -> HttpResponseBase:
    """What a draft would have decided; POST starts a replay."""
    draft = rule_sets.draft(uid)
    if request.method == "POST":
        return _start(request, draft)
    earlier = list(replays_of(uid, request.access))
    wanted = request.GET.get("replay") or (earlier[0].uid if earlier else "")
    replay = replay_for(request.access, wanted) if wanted else None
    if replay and replay.draft != uid:
        raise NotFound("That is a replay of another draft.")
    result = Result(replay.result) if replay and replay.result else None
    if (form := request.GET.get("export")) and result:
        return export(
            name="replay",
            form=form,
            columns=EXPORT_COLUMNS,
            rows=exported(result, _asked(request)),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    days = ReplayForm(initial={"days": replay.days if replay else 7})
    part = "#live" if request.htmx and "live" in request.GET else ""
    context = _context(request, draft, replay, result) | {
        "form": days,
        "earlier": earlier,
    }
    response = render(request, f"rules/replay.html{part}", context)
    if part and replay and (context["left"] or not replay.waits):
        response["HX-Refresh"] = "true"
    return response


def _start(request: Request, draft: PolicyDraft) -> HttpResponse:
    if not request.access.may(POLICY_ADMIN):
        raise refuse(request, needed=POLICY_ADMIN)
    form = ReplayForm(request.POST)
    made: list[PolicyReplay] = []
    if not attempt(
        form,
        lambda: made.append(
            policy_replay.ask(
                draft=draft.uid,
                days=form.cleaned_data["days"],
                most_calls=MOST_CALLS,
                teams=request.access.teams_for(RUNS_READ),
                actor=actor_of(request),
                at=now(),
            )
        ),
    ):
        context = _context(request, draft, None, None) | {
            "form": form,
            "earlier": list(replays_of(draft.uid, request.access)),
        }
        return render(request, "rules/replay.html", context, status=422)
    path = reverse("draft_replay", kwargs={"uid": draft.uid})
    return redirect(f"{path}?replay={made[0].uid}")


def _context(
    request: Request,
    draft: PolicyDraft,
    replay: PolicyReplay | None,
    result: Result | None,
) -> dict[str, Any]:
    live = versions.live()
    at = now()
    asked = _asked(request)
    doubtful = result.doubtful() if result else []
    return {
        "draft": draft,
        "replay": replay,
        "result": result,
        "live": live.version,
        "idle": draft.is_open and draft.rules == live.rules,
        "page": paged(result.changes(asked), request) if result else None,
        "doubtful": doubtful[:_MOST_DOUBTFUL],
        "moved": [
            (one, _narrowed(request, was=one.before.text, becomes=one.after.text))
            for one in (result.moved if result else ())
        ],
        "groups": [
            (name, [(row, _narrowed(request, **{name: row["name"]})) for row in rows])
            for name, rows in (result.groups if result else ())
        ],
        "clear": f"{request.path}?replay={replay.uid}" if replay else "",
        "took": (replay.ended_at - replay.asked_at).total_seconds()
        if replay and replay.ended_at
        else None,
        "left": replay is not None and replay.is_left(at),
        "chips": chips(request, _LABELS),
        "may_replay": draft.is_open and request.access.may(POLICY_ADMIN),
        "at": at,
    }


def _narrowed(request: Request, **filters: str) -> str:
    """The same page with the calls of one line of a table."""
    query = request.GET.copy()
    query.pop("page", None)
    for name, value in filters.items():
        query[name] = value
    return f"?{query.urlencode()}#calls"


def _asked(request: Request) -> dict[str, str]:
    return {name: request.GET.get(name, "") for name in FILTERS}
