"""Allocation rules: what is in force, their versions, and trying one on a month."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from audit.history import history_of
from audit.services.exports import export
from core.clock import now
from core.errors import NotFound
from core.forms import attempt, posted
from core.tables import filters_of, paged
from finops.chargeback_forms import RuleForm
from finops.models import AllocationRule, AllocationVersion, BillingPeriod, CostCentre
from finops.selectors import chargeback as selectors
from finops.selectors.rule_trial import Trial, try_rule
from finops.services import cost_centres
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.web import Request, actor_of, requires

_COLUMNS = (
    "rule",
    "version",
    "valid_from",
    "active",
    "source",
    "sku",
    "team",
    "method",
    "driver",
    "receivers",
    "reason",
    "by",
    "at",
)


@require_safe
@requires(COSTS_READ)
def rule_list(request: Request) -> HttpResponseBase:
    """The latest version of every rule, in their order; all versions as a file."""
    if form := request.GET.get("export"):
        every = AllocationVersion.objects.select_related("rule")
        return export(
            name="allocation-rules",
            form=form,
            columns=_COLUMNS,
            rows=map(_cells, every.order_by("rule__position", "rule_id", "version")),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    context = {
        "page": paged(selectors.latest_versions(), request),
        "may_set": request.access.may(COSTS_ADMIN),
        "at": now(),
    }
    return render(request, "chargeback/rules.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def rule_add(request: Request) -> HttpResponse:
    """A rule that is not there yet."""
    form = RuleForm(posted(request), initial={"valid_from": _next(), "active": True})
    return _set(request, form, None)


@require_safe
@requires(COSTS_READ)
def rule(request: Request, slug: str) -> HttpResponse:
    """One rule with its versions."""
    found = _rule(slug)
    context = {
        "rule": found,
        "versions": found.versions.order_by("-version"),
        "may_set": request.access.may(COSTS_ADMIN),
        "at": now(),
        **history_of(request.access, "allocation", slug),
    }
    return render(request, "chargeback/rule.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(COSTS_ADMIN)
def rule_change(request: Request, slug: str) -> HttpResponse:
    """The next version of a rule."""
    found = _rule(slug)
    latest = found.versions.order_by("-version")[0]
    form = RuleForm(posted(request), initial=_initial(found, latest))
    return _set(request, form, found)


def _set(
    request: Request, form: RuleForm, found: AllocationRule | None
) -> HttpResponse:
    tried: list[Trial] = []
    if found is not None:
        form.fields["slug"].disabled = True
        form.fields["slug"].initial = found.slug
    if request.method != "POST":
        return _page(request, form, found)
    if "try" in request.POST:
        period = _period(request.POST.get("month", ""))
        done = attempt(form, lambda: tried.append(try_rule(period, form.rule())))
        return _page(request, form, found, tried, status=200 if done else 422)
    if attempt(form, lambda: _write(request, form)):
        messages.success(request, "The rule is set: drafts built from now on follow.")
        return redirect("allocation_rule", form.cleaned_data["slug"])
    return _page(request, form, found, status=422)


def _write(request: Request, form: RuleForm) -> None:
    values = form.cleaned_data
    cost_centres.set_rule(
        rule=form.rule(),
        name=values["name"],
        position=values["position"],
        valid_from=values["valid_from"],
        active=values["active"],
        reason=values["reason"],
        actor=actor_of(request),
        at=now(),
    )


def _page(
    request: Request,
    form: RuleForm,
    found: AllocationRule | None,
    tried: list[Trial] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "rule": found,
        "trial": tried[0] if tried else None,
        "periods": BillingPeriod.objects.order_by("-month")[:24],
        "month": request.POST.get("month", ""),
        "centres": CostCentre.objects.order_by("slug")[:200],
        "at": now(),
    }
    return render(request, "chargeback/rule_set.html", context, status=status)


def _initial(found: AllocationRule, latest: AllocationVersion) -> dict[str, Any]:
    lines = [f"{one['centre']} {one['weight']}" for one in latest.receivers]
    return {
        "slug": found.slug,
        "name": found.name,
        "position": found.position,
        "source": latest.source,
        "sku": latest.sku,
        "team": latest.team,
        "method": latest.method,
        "driver": latest.driver,
        "receivers": "\n".join(lines),
        "valid_from": _next(),
        "active": latest.active,
    }


def _next() -> str:
    return selectors.first_open_name()


def _rule(slug: str) -> AllocationRule:
    found = AllocationRule.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound("There is no such allocation rule: look at the list of rules.")
    return found


def _period(text: str) -> BillingPeriod:
    return selectors.period_named(text)


def _cells(one: AllocationVersion) -> list[object]:
    return [
        one.rule.slug,
        one.version,
        f"{one.valid_from:%Y-%m}",
        one.active,
        one.source,
        one.sku,
        one.team,
        one.method,
        one.driver,
        ", ".join(f"{each['centre']} {each['weight']}" for each in one.receivers),
        one.reason,
        one.created_by,
        one.created_at,
    ]
