"""Quotas: use against limit, past windows, who met them, and their changes."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from audit.history import history_of
from audit.services.exports import MOST_ROWS, export
from core.clock import now
from core.tables import chips, filters_of, keyset, paged
from policy import quota_selectors as selectors
from policy.access import POLICY_ADMIN, POLICY_READ
from policy.models import Quota
from policy.quota import WORDS, plain
from policy.quota_figure import figure
from policy.quota_forms import (
    SCOPES,
    STATES,
    LimitForm,
    QuotaFilter,
    QuotaForm,
    RemoveForm,
)
from policy.quota_selectors import PastWindow, QuotaLine
from policy.selectors import environments, visible_teams
from policy.services import quota_changes
from policy.views.forms import attempt, posted
from policy.web import Request, actor_of, requires

_COLUMNS = (
    "quota",
    "metric",
    "window",
    "limit",
    "used",
    "remaining",
    "state",
    "team",
    "key",
    "tool",
    "environment",
    "resets_at",
    "full_by",
    "forecast",
)
_LABELS = {
    "team": "Team",
    "metric": "What",
    "scope": "Limits",
    "state": "State",
    "key": "Key",
    "environment": "Environment",
}
_REFUSALS = 20


@require_safe
@requires(POLICY_READ)
def quota_list(request: Request) -> HttpResponseBase:
    """Quotas that this person may see, the fullest first."""
    at = now()
    quotas = selectors.with_use(selectors.visible_quotas(request.access), at=at)
    found = QuotaFilter(request.GET, queryset=quotas).qs
    if form := request.GET.get("export"):
        shown = selectors.lines(found[:MOST_ROWS], at=at)
        return export(
            name="quotas",
            form=form,
            columns=_COLUMNS,
            rows=map(_cells, shown),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    page = paged(found, request)
    context = {
        "page": page,
        "rows": selectors.lines(page, at=at),
        "chips": chips(request, _LABELS),
        "teams": visible_teams(request.access).order_by("name"),
        "environments": environments(),
        "metrics": Quota.Metric.choices,
        "scopes": SCOPES,
        "states": STATES,
        "may_change": request.access.may(POLICY_ADMIN),
        "at": at,
    }
    return render(request, "quotas/quotas.html", context)


def _cells(line: QuotaLine) -> list[object]:
    """A quota as a row of an export."""
    return [
        line.id,
        line.metric,
        line.window or "at_once",
        line.limit,
        plain(line.used),
        plain(line.remaining),
        line.state,
        line.team,
        line.key,
        line.tool,
        line.environment,
        line.resets_at,
        line.forecast.full_at,
        line.forecast.because,
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@requires(POLICY_ADMIN)
def quota_add(request: Request) -> HttpResponse:
    """A new quota; the address may name its scope."""
    names = ("team", "key", "tool", "environment", "metric")
    initial = {name: request.GET[name] for name in names if name in request.GET}
    form = QuotaForm(posted(request), initial=initial)
    made: list[Quota] = []
    if request.method == "POST" and attempt(
        form, lambda: made.append(_set(request, form))
    ):
        messages.success(request, "The quota was set.")
        return redirect("quota", made[0].pk)
    status = 422 if request.method == "POST" else 200
    return render(request, "quotas/quota_add.html", {"form": form}, status=status)


def _set(request: Request, form: QuotaForm) -> Quota:
    return quota_changes.set_quota(
        scope=form.scope,
        metric=form.cleaned_data["metric"],
        window=form.cleaned_data["window"],
        limit=form.cleaned_data["limit"],
        reason=form.cleaned_data["reason"],
        actor=actor_of(request),
        at=now(),
    )


@require_safe
@requires(POLICY_READ)
def quota(request: Request, pk: int) -> HttpResponseBase:
    """One quota: its present window, past ones, and who met it."""
    found = selectors.quota_for(request.access, pk)
    if form := request.GET.get("export"):
        at = now()
        return export(
            name=f"quota-{found.pk}",
            form=form,
            columns=("window_start", "used", "limit", "refused"),
            rows=map(_window_cells, selectors.history(found, at=at)),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    return _page(request, found)


def _window_cells(window: PastWindow) -> list[object]:
    return [window.start, plain(window.used), window.limit, window.refused]


@require_POST
@requires(POLICY_ADMIN)
def quota_change(request: Request, pk: int) -> HttpResponse:
    """Give a quota another limit."""
    found = selectors.quota_for(request.access, pk, POLICY_ADMIN)
    form = LimitForm(request.POST, auto_id="id_limit_%s")
    if attempt(
        form,
        lambda: quota_changes.change_quota(
            quota_id=found.pk, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The limit was changed; it holds at once.")
        return redirect("quota", found.pk)
    return _page(request, found, status=422, limit_form=form)


@require_POST
@requires(POLICY_ADMIN)
def quota_remove(request: Request, pk: int) -> HttpResponse:
    """Take a quota away."""
    found = selectors.quota_for(request.access, pk, POLICY_ADMIN)
    form = RemoveForm(request.POST, auto_id="id_remove_%s")
    if attempt(
        form,
        lambda: quota_changes.remove_quota(
            quota_id=found.pk, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The quota was removed.")
        return redirect("quotas")
    return _page(request, found, status=422, remove_form=form)


def _page(
    request: Request, found: Quota, *, status: int = 200, **forms: Any
) -> HttpResponse:
    at = now()
    line = selectors.line_of(found, at=at)
    windows = selectors.history(found, at=at)
    initial = {"limit": found.limit}
    context = {
        "line": line,
        "unit": WORDS[found.metric],
        "windows": windows[::-1],
        "figure": figure(windows, unit=WORDS[found.metric]) if windows else None,
        "refusals": keyset(selectors.refusals(found), request, size=_REFUSALS),
        "may_change": request.access.may(POLICY_ADMIN),
        **history_of(request.access, "quota", str(found.pk)),
        "limit_form": LimitForm(initial=initial, auto_id="id_limit_%s"),
        "remove_form": RemoveForm(auto_id="id_remove_%s"),
        "changed_at": found.changed_at,
        "at": at,
        **forms,
    }
    return render(request, "quotas/quota.html", context, status=status)
