"""The page that explains a decision: who, which tool, which arguments, and why."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core.clock import now
from gateway.sample_forms import initial_of_call
from gateway.selectors import explain as reasons
from gateway.selectors import rule_help
from gateway.views.rule_editor import sample_form
from policy.access import POLICY_ADMIN, POLICY_READ
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
        tool = rule_help.catalog().tools.get(given["tool"])
        caller = reasons.caller_of(
            team=given["team"], environment=given["environment"], key=given["key"]
        )
        if tool is None:
            form.add_error("tool", "No server offers a tool of this name.")
        elif caller is None:
            form.add_error("key", "There is no key with this prefix.")
        else:
            explained = reasons.explain(
                caller,
                tool=tool,
                mode=given["mode"],
                arguments=given["arguments"],
                at=now(),
            )
    context = {
        "form": form,
        "explained": explained,
        "may_complete": request.access.may(POLICY_ADMIN),
        "at": now(),
    }
    status = 422 if asked and explained is None else 200
    return render(request, "rules/explain.html", context, status=status)


def _initial(request: Request) -> dict[str, Any]:
    """A past call that a link names (``?call=``), else an empty one."""
    text = request.GET.get("call", "")
    known = text.isascii() and text.isdigit()
    call = rule_help.past_call(request.access, int(text[:18])) if known else None
    return initial_of_call(call) if call else {"arguments": "{}"}
