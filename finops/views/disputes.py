"""Disputes: the list, the thread of one, and how it ends."""

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from audit.history import history_of
from audit.services.exports import export
from core.clock import now
from core.forms import TollgateForm, attempt
from core.tables import chips, filters_of, paged
from finops.chargeback_forms import CommentForm, ReasonForm, ResolveForm
from finops.models import Dispute
from finops.selectors import chargeback as selectors
from finops.services import disputes as services
from policy.access import CHARGEBACK_DISPUTE, COSTS_ADMIN, COSTS_READ
from policy.web import Request, actor_of, refuse, requires

_COLUMNS = (
    "uid",
    "month",
    "cost_centre",
    "line",
    "billed",
    "state",
    "reason",
    "opened_by",
    "opened_at",
    "resolution",
    "resolved_by",
    "resolved_at",
)


@require_safe
@requires(COSTS_READ)
def dispute_list(request: Request) -> HttpResponseBase:
    """Disputes that this person may see, the newest first."""
    found = selectors.visible_disputes(request.access).order_by("-pk")
    if state := request.GET.get("state", "")[:20]:
        found = found.filter(state=state)
    if form := request.GET.get("export"):
        return export(
            name="disputes",
            form=form,
            columns=_COLUMNS,
            rows=map(_cells, found.iterator(chunk_size=500)),
            filters=filters_of(request),
            actor=actor_of(request),
            at=now(),
        )
    context = {
        "page": paged(found, request),
        "states": Dispute.State.choices,
        "chips": chips(request, {"state": "State"}),
        "at": now(),
    }
    return render(request, "chargeback/disputes.html", context)


def _cells(one: Dispute) -> list[object]:
    statement = one.statement
    return [
        one.uid,
        str(statement.period),
        statement.cost_centre.slug,
        one.line["sku"],
        one.line["billed"],
        one.state,
        one.reason,
        one.opened_label,
        one.opened_at,
        one.resolution,
        one.resolved_label,
        one.resolved_at,
    ]


@require_safe
@requires(COSTS_READ)
def dispute(request: Request, uid: str) -> HttpResponse:
    """One dispute with all that was said."""
    return _page(request, selectors.dispute_for(request.access, uid))


@require_POST
@requires(COSTS_READ)
def dispute_comment(request: Request, uid: str) -> HttpResponse:
    """Say something: who pays, and who closes the month."""
    found = selectors.dispute_for(request.access, uid)
    if not selectors.may_speak(request.access, found):
        raise refuse(request, needed=CHARGEBACK_DISPUTE)
    form = CommentForm(request.POST, auto_id="id_comment_%s")
    if attempt(
        form,
        lambda: services.comment(
            uid=found.uid,
            text=form.cleaned_data["text"],
            runs=form.cleaned_data["runs"].split(),
            actor=actor_of(request),
            at=now(),
        ),
    ):
        return redirect("dispute", uid)
    return _page(request, found, status=422, comment_form=form)


@require_POST
@requires(COSTS_ADMIN)
def dispute_resolve(request: Request, uid: str) -> HttpResponse:
    """Reject it, or make it good."""
    found = selectors.dispute_for(request.access, uid)
    form = ResolveForm(request.POST, auto_id="id_resolve_%s")
    if attempt(
        form,
        lambda: services.resolve(
            uid=found.uid, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The dispute is resolved.")
        return redirect("dispute", uid)
    return _page(request, found, status=422, resolve_form=form)


@require_POST
@requires(CHARGEBACK_DISPUTE)
def dispute_withdraw(request: Request, uid: str) -> HttpResponse:
    """Take one's own dispute back."""
    found = selectors.dispute_for(request.access, uid)
    form = ReasonForm(request.POST, auto_id="id_withdraw_%s")
    if attempt(
        form,
        lambda: services.withdraw(
            uid=found.uid,
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=now(),
        ),
    ):
        messages.success(request, "The dispute is withdrawn.")
        return redirect("dispute", uid)
    return _page(request, found, status=422, withdraw_form=form)


def _page(
    request: Request, found: Dispute, *, status: int = 200, **forms: TollgateForm
) -> HttpResponse:
    is_open = found.state == Dispute.State.OPEN
    mine = found.opened_by == actor_of(request).id
    context = {
        "dispute": found,
        "statement": found.statement,
        "period": found.statement.period,
        "comments": found.comments.order_by("pk"),
        "credits": found.adjustments.select_related("period").order_by("pk"),
        "mine": mine,
        "may_speak": is_open and selectors.may_speak(request.access, found),
        "may_resolve": is_open and request.access.may(COSTS_ADMIN) and not mine,
        "may_withdraw": is_open and mine,
        "comment_form": CommentForm(auto_id="id_comment_%s"),
        "resolve_form": ResolveForm(auto_id="id_resolve_%s"),
        "withdraw_form": ReasonForm(auto_id="id_withdraw_%s"),
        "at": now(),
        **history_of(request.access, "dispute", found.uid),
        **forms,
    }
    return render(request, "chargeback/dispute.html", context, status=status)
