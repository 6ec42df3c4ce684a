"""The playground: write a script, run it as a service account, see what came back."""

from typing import Any

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from core.clock import now
from core.errors import TollgateError
from gateway.catalog import usable_by
from gateway.codemode import checks
from gateway.codemode.diagnostics import Diagnostic
from gateway.forms import PlaygroundForm
from gateway.highlight import lines
from gateway.models import Run
from gateway.selectors.identities import (
    playable_key,
    playable_keys,
    principal_for,
    tools_for,
)
from gateway.selectors.runs import run_for
from gateway.services.runs import submit
from gateway.snippets import SNIPPETS
from gateway.views.runs import run_context
from policy.access import RUNS_EXECUTE
from policy.principal import Principal
from policy.web import Request, actor_of, requires


@require_http_methods(["GET", "HEAD", "POST"])
@requires(RUNS_EXECUTE)
def playground(request: Request) -> HttpResponse:
    """The editor; POST checks the script and queues it."""
    if request.method == "POST":
        return _submit(request)
    wanted, query = request.GET.get("key", ""), request.GET.get("q", "")
    uid = request.GET.get("run", "")
    run = run_for(request.access, uid) if uid else None
    context = _frame(request, wanted, query, run)
    if run is not None:
        context |= run_context(request, run)
        context |= {"code": run.code, "language": run.language or "python"}
    elif snippet := SNIPPETS.get(request.GET.get("snippet", "")):
        context["code"] = snippet.script(context["language"])
    return render(request, "playground/playground.html", context)


def _frame(
    request: Request, wanted: str, query: str, run: Run | None = None
) -> dict[str, Any]:
    keys = playable_keys(request.access, at=now())
    used = [key for key in keys if run and key.pk == run.key_id_at]
    key = playable_key(used if used and not wanted else keys, wanted)
    principal = _principal(request, key) if key else None
    return {
        "keys": keys,
        "key": key,
        "tools": tools_for(principal, query) if principal else None,
        "query": query,
        "snippets": SNIPPETS,
        "code": "",
        "language": _language(request.GET),
        "run": None,
        "problems": (),
    }


def _language(sent: QueryDict) -> str:
    wanted = sent.get("language", "")
    return wanted if wanted in checks.LANGUAGES else "python"


def _principal(request: Request, key: Any) -> Principal:
    return principal_for(
        key,
        request.access,
        address=str(request.META.get("REMOTE_ADDR", "")),
        request_id=request.request_id,
    )


def _submit(request: Request) -> HttpResponse:
    context = _frame(request, request.POST.get("key", ""), "")
    form = PlaygroundForm(request.POST)
    code = request.POST.get("code", "").replace("\r\n", "\n")
    language = _language(request.POST)
    context |= {"code": code, "form": form, "language": language}
    if not form.is_valid() or context["key"] is None:
        context["failure"] = "Write a script and choose the key it runs as."
        return _answer(request, context, status=422)
    principal = _principal(request, context["key"])
    checked = checks.check(code, language, usable_by(principal).definitions)
    if checked.diagnostics:
        problems = _problems(code, language, checked.diagnostics)
        return _answer(request, context | problems, 422)
    try:
        run = submit(
            principal=principal,
            code=code,
            language=language,
            task=form.cleaned_data["task"],
            model=form.cleaned_data["model"],
            on_behalf_of=actor_of(request),
            at=now(),
        )
    except TollgateError as error:
        context["failure"] = error.message
        return _answer(request, context, status=error.status)
    where = f"{reverse('playground')}?key={context['key'].pk}&run={run.uid}"
    if request.htmx:
        response = _answer(request, context | run_context(request, run), 200)
        response["HX-Push-Url"] = where
        return response
    return redirect(where)


def _problems(
    code: str, language: str, found: tuple[Diagnostic, ...]
) -> dict[str, Any]:
    marked = [problem.line for problem in found if problem.line]
    return {"problems": found, "lines": lines(code, language, marked=marked)}


def _answer(request: Request, context: dict[str, Any], status: int) -> HttpResponse:
    part = "#outcome" if request.htmx else ""
    return render(request, f"playground/playground.html{part}", context, status=status)


@require_GET
@requires(RUNS_EXECUTE)
def playground_outcome(request: Request, uid: str) -> HttpResponse:
    """The outcome of a run, asked for again and again until it has ended."""
    run = run_for(request.access, uid)
    context = run_context(request, run)
    return render(request, "playground/playground.html#outcome", context)


@require_GET
@requires(RUNS_EXECUTE)
def playground_tools(request: Request) -> HttpResponse:
    """The tools a key may call, searched."""
    context = _frame(request, request.GET.get("key", ""), request.GET.get("q", ""))
    return render(request, "playground/playground.html#tools", context)
