"""The editor of one rule in a draft: form, help while typing, and a trial."""

import json
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from core.clock import now
from core.errors import NotFound
from gateway.rule_forms import RuleForm, initial_of, words
from gateway.sample_forms import SampleForm, initial_of_call
from gateway.selectors import rule_help
from policy import rule_sets
from policy.access import POLICY_ADMIN
from policy.approvers import groups
from policy.cel import ConditionError, compile_condition
from policy.models import Environment, PolicyDraft, Team
from policy.rule import SELECT_FIELDS, TOOL_FIELDS
from policy.services import drafts
from policy.services.rules import DraftClosed
from policy.views.forms import attempt
from policy.web import Request, actor_of, requires

_GET_POST = ["GET", "HEAD", "POST"]


@require_http_methods(_GET_POST)
@requires(POLICY_ADMIN)
def draft_rule_add(request: Request, uid: str) -> HttpResponse:
    """A new rule in a draft."""
    return _edit(request, rule_sets.draft(uid), "")


@require_http_methods(_GET_POST)
@requires(POLICY_ADMIN)
def draft_rule(request: Request, uid: str, rule: str) -> HttpResponse:
    """Change a rule of a draft."""
    return _edit(request, rule_sets.draft(uid), rule)


def _edit(request: Request, draft: PolicyDraft, rule: str) -> HttpResponse:
    if not draft.is_open:
        raise DraftClosed(f"This draft is {draft.state}: begin another one.")
    if request.method != "POST":
        return _fresh(request, draft, rule)
    form = RuleForm(request.POST, groups=_groups())
    act = request.POST.get("act", "save")
    if act != "save":
        return _tried(request, draft, rule, form, act)
    text = request.POST.get("revision", "")
    if attempt(
        form,
        lambda: drafts.set_rule(
            uid=draft.uid,
            rule=form.document(),
            old_id=rule,
            revision=int(text) if text.isascii() and text.isdigit() else None,
            actor=actor_of(request),
            at=now(),
        ),
    ):
        messages.success(request, f"{form.cleaned_data['id']} is saved in this draft.")
        return redirect("draft", uid=draft.uid)
    sample = sample_form(request.POST.dict())
    return _page(request, draft, rule, form, sample, status=422)


def _fresh(request: Request, draft: PolicyDraft, rule: str) -> HttpResponse:
    known = {one["id"]: one for one in draft.rules}
    if rule and rule not in known:
        raise NotFound(f"The draft has no rule {rule}.")
    initial = initial_of(known[rule]) if rule else _from_address(request)
    form = RuleForm(initial=initial, groups=_groups())
    select = {name: words(initial.get(name, "")) for name in TOOL_FIELDS}
    sample = sample_form(initial=_initial_sample(select))
    return _page(request, draft, rule, form, sample)


def _from_address(request: Request) -> dict[str, Any]:
    """What a link to a new rule has filled in, such as ``?tools=shop.refund``."""
    return {
        name: request.GET[name][:500] for name in SELECT_FIELDS if name in request.GET
    }


def _tried(
    request: Request, draft: PolicyDraft, rule: str, form: RuleForm, act: str
) -> HttpResponse:
    """The same page with what the rule says of the sample, or with another sample."""
    data = request.POST.dict()
    if act == "load":
        sample = sample_form(initial=_loaded(request, data))
        form.is_valid()
        return _page(request, draft, rule, form, sample)
    sample = sample_form(data)
    valid = all([form.is_valid(), sample.is_valid()])
    trial = None
    if valid and form.rule is not None:
        given = sample.cleaned_data
        known = rule_help.catalog().tools.get(given["tool"])
        tool, principal = sample.facts(known.facts if known else None)
        trial = rule_help.try_rule(
            form.rule,
            tool=tool,
            principal=principal,
            mode=given["mode"],
            arguments=given["arguments"],
            at=now(),
        )
    status = 200 if valid else 422
    return _page(request, draft, rule, form, sample, trial=trial, status=status)


def _loaded(request: Request, data: dict[str, str]) -> dict[str, Any]:
    """The sample anew: a past call that was chosen, or the tool's own example."""
    past = data.get("past", "")
    if past.isascii() and past.isdigit():
        call = rule_help.past_call(request.access, int(past[:18]))
        if call is not None:
            return initial_of_call(call)
    name = data.get("sample-tool", "").strip()
    kept = {
        field: data.get(f"sample-{field}", "")
        for field in ("team", "environment", "key", "mode")
    }
    return kept | {"tool": name, "arguments": _example(name)}


def _initial_sample(select: dict[str, list[str]]) -> dict[str, Any]:
    found = rule_help.tools_taken(select) if any(select.values()) else []
    name = found[0].full_name if found else ""
    return {"tool": name, "arguments": _example(name)}


def _example(name: str) -> str:
    tool = rule_help.catalog().tools.get(name)
    value = rule_help.sample_of(tool.definition.input_schema) if tool else {}
    return json.dumps(value, indent=2, ensure_ascii=False)


def sample_form(
    data: Mapping[str, Any] | None = None, initial: dict[str, Any] | None = None
) -> SampleForm:
    """A form with the teams and environments there are."""
    return SampleForm(
        data,
        initial=initial,
        teams=list(Team.objects.order_by("slug").values_list("slug", flat=True)),
        environments=list(
            Environment.objects.order_by("position", "slug").values_list(
                "slug", flat=True
            )
        ),
    )


def _groups() -> list[str]:
    return list(groups().values_list("slug", flat=True))


def _page(
    request: Request,
    draft: PolicyDraft,
    rule: str,
    form: RuleForm,
    sample: SampleForm,
    *,
    trial: rule_help.Trial | None = None,
    status: int = 200,
) -> HttpResponse:
    name = str(sample["tool"].value() or "")
    context = {
        "draft": draft,
        "rule": rule,
        "form": form,
        "sample": sample,
        "trial": trial,
        "select_fields": [form[field] for field in SELECT_FIELDS],
        "past": rule_help.past_calls(request.access, name) if name else [],
        "revision": request.POST.get("revision", draft.revision),
    }
    return render(request, "rules/editor.html", context, status=status)


@require_POST
@requires(POLICY_ADMIN)
def condition_check(request: Request) -> HttpResponse:
    """Whether a condition compiles, and where it does not."""
    text = request.POST.get("when", "").strip()
    problem = ""
    try:
        if text:
            compile_condition(text)
    except ConditionError as error:
        problem = str(error)
    context = {"text": text, "problem": problem}
    return render(request, "rules/condition.html", context)


@require_safe
@requires(POLICY_ADMIN)
def rule_suggestions(request: Request) -> JsonResponse:
    """Words for a field: names, or what a condition may name for this selector."""
    field = request.GET.get("field", "")
    if field == "when":
        select = {
            name: words(request.GET.get(name, "")[:4_000]) for name in TOOL_FIELDS
        }
        offers = rule_help.condition_words(select)
    else:
        offers = rule_help.names_for(field, request.GET.get("word", "")[:200])
    return JsonResponse({"offers": [one.as_dict() for one in offers]})
