"""Pages of drafts: begin, upload, look at the changes, publish or discard."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from audit.history import history_of
from core.clock import now
from core.tables import paged
from gateway.rule_forms import DraftForm, UploadForm, WhyForm
from gateway.selectors.policy_replays import replays_of
from gateway.selectors.rule_hits import recent_hits
from gateway.selectors.rule_sets import matching, shown_changes
from gateway.views.rules import draft_name
from policy import documents, rule_sets
from policy.access import POLICY_ADMIN, POLICY_READ
from policy.models import PolicyDraft
from policy.rule_diff import LIVE, MINE, diff
from policy.services import drafts
from policy.services import rules as versions
from policy.services.drafts import RebaseConflict
from policy.views.forms import attempt, posted
from policy.web import Request, actor_of, requires


@require_POST
@requires(POLICY_ADMIN)
def draft_begin(request: Request) -> HttpResponse:
    """A draft of the rules in force; ``rule`` leads on to its editor."""
    form = DraftForm(request.POST)
    made: list[PolicyDraft] = []
    if not attempt(
        form,
        lambda: made.append(
            drafts.begin(
                name=form.cleaned_data["name"], actor=actor_of(request), at=now()
            )
        ),
    ):
        return render(request, "rules/begin.html", {"form": form}, status=422)
    uid, rule = made[0].uid, request.POST.get("rule", "")
    if any(one["id"] == rule for one in made[0].rules):
        return redirect("draft_rule", uid=uid, rule=rule)
    return redirect("draft", uid=uid)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(POLICY_ADMIN)
def rules_upload(request: Request) -> HttpResponse:
    """A draft from a YAML document."""
    form = UploadForm(
        posted(request), request.FILES, initial={"name": draft_name(request)}
    )
    made: list[PolicyDraft] = []
    if request.method == "POST" and attempt(
        form,
        lambda: made.append(
            drafts.begin(
                name=form.cleaned_data["name"],
                rules=documents.read(form.cleaned_data["yaml"]),
                actor=actor_of(request),
                at=now(),
            )
        ),
    ):
        return redirect("draft", uid=made[0].uid)
    status = 422 if request.method == "POST" else 200
    return render(request, "rules/upload.html", {"form": form}, status=status)


@require_safe
@requires(POLICY_READ)
def draft_detail(request: Request, uid: str) -> HttpResponse:
    """What a draft changes, and what can be done with it."""
    return draft_page(request, rule_sets.draft(uid), WhyForm(), 200)


def draft_page(
    request: Request,
    draft: PolicyDraft,
    form: WhyForm,
    status: int,
    conflicts: tuple[str, ...] = (),
) -> HttpResponse:
    """The page of a draft, also where something could not be done with it."""
    live = versions.live()
    base = live.rules if draft.is_open else versions.rules_of_version(draft.base)
    changes = shown_changes(diff(base, draft.rules))
    two = versions.two_persons()
    own = actor_of(request).id in draft.authors
    q = request.GET.get("q", "").strip()
    recent = recent_hits(at=now())
    hits = recent.of(live.rules)
    context = {
        "draft": draft,
        "live": live.version,
        "stale": draft.is_open and draft.base != live.version,
        "changes": changes,
        "changed": {one.rule: one.kind for one in changes},
        "page": paged(matching(draft.rules, q=q, hits=hits), request),
        "recent": recent,
        "q": q,
        "form": form,
        "conflicts": conflicts,
        "two_persons": two,
        "own": own,
        "replay": replays_of(draft.uid, request.access).first(),
        "may_publish": not two or (not own and draft.state == draft.State.PROPOSED),
        "may_edit": draft.is_open and request.access.may(POLICY_ADMIN),
        **history_of(request.access, "policy_draft", draft.uid),
    }
    return render(request, "rules/draft.html", context, status=status)


@require_POST
@requires(POLICY_ADMIN)
def draft_publish(request: Request, uid: str) -> HttpResponse:
    """Make the draft the rules in force, or propose it (``act``)."""
    draft = rule_sets.draft(uid)
    form = WhyForm(request.POST)
    proposes = request.POST.get("act") == "propose"
    text = request.POST.get("revision", "")
    revision = int(text) if text.isascii() and text.isdigit() else None

    def act() -> None:
        reason = form.cleaned_data["reason"]
        actor, at = actor_of(request), now()
        if proposes:
            versions.propose(uid=uid, reason=reason, actor=actor, at=at)
            return
        versions.publish(uid=uid, reason=reason, revision=revision, actor=actor, at=at)

    if not attempt(form, act):
        return draft_page(request, rule_sets.draft(uid), form, 422)
    draft.refresh_from_db()
    if proposes:
        messages.success(request, "Proposed: another administrator publishes it.")
        return redirect("draft", uid=uid)
    messages.success(
        request, f"Version {draft.version} is live, for every call from now on."
    )
    return redirect("rules")


@require_POST
@requires(POLICY_ADMIN)
def draft_rebase(request: Request, uid: str) -> HttpResponse:
    """Join the draft with what was published meanwhile."""
    take = {
        name.removeprefix("take:"): value
        for name, value in request.POST.items()
        if name.startswith("take:") and value in (MINE, LIVE)
    }
    try:
        drafts.rebase(uid=uid, take=take, actor=actor_of(request), at=now())
    except RebaseConflict as error:
        found = tuple(error.details["conflicts"])
        draft = rule_sets.draft(uid)
        return draft_page(request, draft, WhyForm(), 422, conflicts=found)
    messages.success(request, "The draft is based on the rules in force now.")
    return redirect("draft", uid=uid)


@require_POST
@requires(POLICY_ADMIN)
def draft_discard(request: Request, uid: str) -> HttpResponse:
    """Close a draft without publishing it."""
    drafts.discard(uid=uid, actor=actor_of(request), at=now())
    messages.success(request, "The draft is discarded.")
    return redirect(reverse("rules"))


@require_POST
@requires(POLICY_ADMIN)
def draft_rule_remove(request: Request, uid: str, rule: str) -> HttpResponse:
    """Take a rule out of a draft."""
    drafts.remove_rule(uid=uid, rule=rule, actor=actor_of(request), at=now())
    messages.success(request, f"{rule} is removed in this draft.")
    return redirect("draft", uid=uid)
