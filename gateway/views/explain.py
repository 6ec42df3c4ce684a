"""The page that explains a decision: who, which tool, which arguments, and why."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.clock import now
from core.errors import NotFound
from gateway.rule_words import asked_words
from gateway.sample_forms import SampleForm, initial_of_call
from gateway.selectors import rule_help
from gateway.selectors.rule_sets import ShownRule
from gateway.services import explain as reasons
from gateway.views.rule_editor import sample_form
from policy.access import POLICY_ADMIN, POLICY_READ
from policy.principal import Principal
from policy.web import Request, requires


@require_safe
@requires(POLICY_READ)
def explain_call(request: Request) -> HttpResponse:
    """What would be decided on a call now, by every rule that was considered."""
    asked = "sample-tool" in request.GET
    form = sample_form(request.GET if asked else None, initial=_initial(request))
    explained = None
    if asked and form.is_valid():
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
                )
            )
    context = {
        "form": form,
        "explained": explained,
        "considered": _considered(explained),
        "asked": [asked_words(one.as_dict()) for one in explained.routes]
        if explained
        else [],
        "may_complete": request.access.may(POLICY_ADMIN),
        "at": now(),
    }
    status = 422 if asked and explained is None else 200
    return render(request, "rules/explain.html", context, status=status)


def _caller(request: Request, form: SampleForm) -> Principal | None:
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


def _initial(request: Request) -> dict[str, Any]:
    """A past call that a link names (``?call=``), else an empty one."""
    text = request.GET.get("call", "")
    known = text.isascii() and text.isdigit()
    call = rule_help.past_call(request.access, int(text[:18])) if known else None
    return initial_of_call(call) if call else {"arguments": "{}"}
