"""Pages of the rules in force: the list, one rule, their versions, the way back."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from audit import history as trail
from audit.query import term
from audit.services.exports import export
from core.clock import now
from core.errors import NotFound
from core.tables import chips, filters_of, paged
from gateway.rule_forms import DraftForm, WhyForm
from gateway.rule_words import EFFECT_WORDS
from gateway.selectors.rule_hits import Hits, calls_hit, recent_hits
from gateway.selectors.rule_sets import (
    EXPORT_COLUMNS,
    ShownRule,
    export_row,
    history_of,
    matching,
    shown_changes,
)
from policy import documents, rule_sets
from policy.access import AUDIT_READ, POLICY_ADMIN, POLICY_READ
from policy.models import PolicyDraft, PolicyVersion
from policy.rule_diff import diff
from policy.services import drafts
from policy.services import rules as versions
from policy.views.forms import attempt
from policy.web import Request, actor_of, requires

_LABELS = {"q": "Text", "effect": "Effect", "state": "Mode", "tool": "Tool"}
_STATES = (("enforce", "Enforced"), ("monitor", "Monitor"), ("off", "Not in use"))
_VERSION_COLUMNS = (
    "version", "published_at", "published_by", "author", "second_by", "base",
    "digest", "reason",
)  # fmt: skip


def draft_name(request: Request) -> str:
    """A name for a draft that says whose it is."""
    return f"Draft of {request.user.get_short_name() or request.user.get_username()}"


@require_safe
@requires(POLICY_READ)
def rule_list(request: Request) -> HttpResponseBase:
    """The rules in force, open drafts and the last versions."""
    live = versions.live()
    asked = {name: request.GET.get(name, "").strip() for name in _LABELS}
    at = now()
    recent = recent_hits(at=at)
    found = matching(live.rules, **asked, hits=recent.of(live.rules))
    if form := request.GET.get("export"):
        return export(
            name="rules",
            form=form,
            columns=EXPORT_COLUMNS,
            rows=map(export_row, found),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    context = {
        "live": live,
        "version": rule_sets.versions().first(),
        "page": paged(found, request),
        "asked": asked,
        "effects": EFFECT_WORDS.items(),
        "states": _STATES,
        "chips": chips(request, _LABELS),
        "drafts": rule_sets.drafts(only_open=True)[:20],
        "versions": rule_sets.versions()[:5],
        "two_persons": versions.two_persons(),
        "may_admin": request.access.may(POLICY_ADMIN),
        "draft_form": DraftForm(initial={"name": draft_name(request)}),
        "recent": recent,
        "at": at,
    }
    return render(request, "rules/rules.html", context)


@require_safe
@requires(POLICY_READ)
def rules_yaml(request: Request) -> HttpResponse:
    """The rules in force, or those of ``?version=``, as the document for git."""
    text = request.GET.get("version", "")
    live = versions.live()
    number = int(text) if text.isascii() and text.isdigit() else live.version
    rules = live.rules if number == live.version else versions.rules_of_version(number)
    response = HttpResponse(
        documents.write(rules, version=number),
        content_type="application/yaml; charset=utf-8",
    )
    name = f"tollgate-rules-{number}.yaml"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@require_safe
@requires(POLICY_READ)
def rule_detail(request: Request, rule: str) -> HttpResponse:
    """One rule in force: what it says, where it matched, who changed it."""
    live = versions.live()
    document = next((one for one in live.rules if one["id"] == rule), None)
    if document is None:
        raise NotFound(f"Version {live.version} has no rule {rule}.")
    may_audit = request.access.may(AUDIT_READ)
    at = now()
    recent = recent_hits(at=at)
    context = {
        "rule": ShownRule(document, recent.by_rule.get(rule, Hits())),
        "recent": recent,
        "yaml": documents.write([document], version=live.version),
        "live": live,
        "calls": calls_hit(rule, request.access, at=at),
        **trail.shown(
            request.access,
            history_of(rule) if may_audit else [],
            (term("name", "policy.", prefix=True),),
        ),
        "may_admin": request.access.may(POLICY_ADMIN),
        "drafts": rule_sets.drafts(only_open=True)[:20],
        "draft_form": DraftForm(initial={"name": f"Change of {rule}"[:100]}),
    }
    return render(request, "rules/rule.html", context)


@require_safe
@requires(POLICY_READ)
def version_list(request: Request) -> HttpResponseBase:
    """Every version: who published it, when and why."""
    found = rule_sets.versions()
    if form := request.GET.get("export"):
        return export(
            name="rule versions",
            form=form,
            columns=_VERSION_COLUMNS,
            rows=map(_version_row, found.iterator()),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    context = {"page": paged(found, request), "live": versions.live().version}
    return render(request, "rules/versions.html", context)


def _version_row(one: PolicyVersion) -> list[Any]:
    return [one.number, one.published_at, one.published_label, one.author_label,
            one.second_by, one.base, one.digest, one.reason]  # fmt: skip


@require_safe
@requires(POLICY_READ)
def version_detail(request: Request, number: int) -> HttpResponse:
    """One version against another one."""
    return _version_page(request, number, WhyForm(), 200)


def _version_page(
    request: Request, number: int, form: WhyForm, status: int
) -> HttpResponse:
    version = rule_sets.version(number)
    text = request.GET.get("against", "")
    against = int(text) if text.isascii() and text.isdigit() else number - 1
    before = versions.rules_of_version(against)
    live = versions.live().version
    context = {
        "version": version,
        "against": against,
        "changes": shown_changes(diff(before, version.rules)),
        "rules": [ShownRule(rule) for rule in version.rules[:200]],
        "numbers": [0, *rule_sets.versions().values_list("number", flat=True)[:500]],
        "live": live,
        "form": form,
        "two_persons": versions.two_persons(),
        "may_revert": request.access.may(POLICY_ADMIN) and number != live,
        **trail.history_of(request.access, "policy", str(number)),
    }
    return render(request, "rules/version.html", context, status=status)


@require_POST
@requires(POLICY_ADMIN)
def version_revert(request: Request, number: int) -> HttpResponse:
    """Make an old version's rules live again, as a new version."""
    rule_sets.version(number)
    form = WhyForm(request.POST)
    made: list[PolicyDraft] = []
    if not attempt(
        form,
        lambda: made.append(
            drafts.revert(
                number=number,
                reason=form.cleaned_data["reason"],
                actor=actor_of(request),
                at=now(),
            )
        ),
    ):
        return _version_page(request, number, form, 422)
    draft = made[0]
    if draft.version is None:
        messages.success(
            request, "It is proposed: another administrator has to publish it."
        )
        return redirect("draft", uid=draft.uid)
    messages.success(
        request,
        f"Version {draft.version} is live: it has the rules of version {number}.",
    )
    return redirect("rules")


@require_POST
@requires(POLICY_ADMIN)
def rule_settings(request: Request) -> HttpResponse:
    """Whether a second person has to publish."""
    needed = request.POST.get("two_persons") == "yes"
    versions.set_two_persons(needed=needed, actor=actor_of(request), at=now())
    messages.success(
        request,
        "Another administrator than the author has to publish now."
        if needed
        else "One administrator may publish alone now.",
    )
    return redirect(f"{reverse('rules')}#settings")
