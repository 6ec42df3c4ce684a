"""The page that explains a decision: who, which tool, which arguments, and why."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from core.clock import now
from core.errors import NotFound
from gateway.models import ToolCall
from gateway.rule_words import asked_words
from gateway.sample_forms import ExplainForm, initial_of_call
from gateway.selectors import rule_help
from gateway.selectors.rule_sets import ShownRule
from gateway.services import explain as reasons
from policy import rule_sets
from policy.access import POLICY_ADMIN, POLICY_READ
from policy.compiled import RuleSet
from policy.models import PolicyDraft
from policy.principal import Principal
from policy.rules import parse_all
from policy.selectors import environments, visible_teams
from policy.web import Request, requires


@require_http_methods(["GET", "HEAD", "POST"])
@requires(POLICY_READ)
def explain_call(request: Request) -> HttpResponse:
    """What would be decided on a call now, by every rule that was considered.

    Addresses name a recorded call (``?run=&step=``) and never hold arguments. With
    ``&draft=`` the rules of a draft hold instead of those in force.
    """
    if request.method == "POST":
        return _asked(request)
    if run := request.GET.get("run", ""):
        return _recorded(request, run, request.GET.get("step", ""))
    return _page(request, _form(request, initial={"arguments": "{}"}))


def _asked(request: Request) -> HttpResponse:
    """A call that somebody might make."""
    form = _form(request, request.POST.dict())
    explained = None
    if form.is_valid():
        given = form.cleaned_data
        if given["tool"] not in rule_help.catalog().tools:
            form.add_error("tool", "No server offers a tool of this name.")
        elif principal := _caller(request, form):
            explained = reasons.explain(
                reasons.Question(
                    principal,
                    tool=given["tool"],
                    arguments=given["arguments"],
                    at=now(),
                    mode=given["mode"],
                    language=given["language"],
                    model=given["model"],
                    gvisor=given["gvisor"],
                )
            )
    return _page(request, form, explained, status=200 if explained else 422)


def _recorded(request: Request, run: str, step: str) -> HttpResponse:
    """A call that was made or refused, decided on anew."""
    known = step.isascii() and step.isdigit() and len(step) < 10
    if not known:
        raise NotFound(f"Run {run[:40]} has no step {step[:20]}.")
    call = reasons.recorded_call(request.access, run=run, step=int(step))
    uid = request.GET.get("draft", "")
    draft = rule_sets.draft(uid) if uid else None
    rules = RuleSet(parse_all(draft.rules), version=draft.base) if draft else None
    explained = reasons.explain(reasons.question_of(call, rules=rules))
    form = _form(request, initial=initial_of_call(call))
    return _page(request, form, explained, call=call, draft=draft)


def _page(
    request: Request,
    form: ExplainForm,
    explained: reasons.Explanation | None = None,
    *,
    call: ToolCall | None = None,
    draft: PolicyDraft | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "form": form,
        "explained": explained,
        "call": call,
        "draft": draft,
        "considered": _considered(explained),
        "asked": [asked_words(one.as_dict()) for one in explained.routes]
        if explained
        else [],
        "may_complete": request.access.may(POLICY_ADMIN),
        "at": now(),
    }
    return render(request, "rules/explain.html", context, status=status)


def _form(
    request: Request,
    data: dict[str, Any] | None = None,
    initial: dict[str, Any] | None = None,
) -> ExplainForm:
    teams = visible_teams(request.access).order_by("slug")
    return ExplainForm(
        data,
        initial=initial,
        teams=list(teams.values_list("slug", flat=True)),
        environments=list(environments().values_list("slug", flat=True)),
    )


def _caller(request: Request, form: ExplainForm) -> Principal | None:
    """Who would call; a problem is said at the field."""
    given, field = form.cleaned_data, "key"
    try:
        if given["key"]:
            return reasons.key_holder(request.access, given["key"])
        field = "team"
        return reasons.anybody(
            request.access, team=given["team"], environment=given["environment"]
        )
    except NotFound as error:
        form.add_error(field, error.message)
        return None


def _considered(
    explained: reasons.Explanation | None,
) -> list[tuple[ShownRule, reasons.Considered]]:
    found = explained.rules if explained else ()
    return [(ShownRule(one.rule.written), one) for one in found]
