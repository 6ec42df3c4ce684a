"""Pages of approvals: the inbox, their history, one of them, and the decision."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from audit.services.exports import MOST_ROWS, export
from core.clock import now
from core.errors import Denied, TollgateError
from core.tables import chips, filters_of, keyset
from gateway.hold_filters import ALL, ApprovalFilter
from gateway.hold_forms import DecisionForm
from gateway.selectors.approvals import (
    approval_for,
    count_waiting,
    shown_approvals,
    state_of,
    visible_approvals,
)
from gateway.selectors.runs import events_on
from gateway.services.holds import decide_approval
from policy.access import APPROVALS_DECIDE, AUDIT_READ
from policy.approvers import deciders
from policy.models import Approval
from policy.web import Request, actor_of, requires

_INBOX_SIZE = 20
_COLUMNS = (
    "approval",
    "state",
    "tool",
    "tool_version",
    "run",
    "step",
    "team",
    "environment",
    "requesters",
    "because",
    "arguments_digest",
    "policy_revision",
    "requested_at",
    "expires_at",
    "decided_at",
    "decided_by",
    "reason",
    "used_at",
)
_LABELS = {
    "team": "Team",
    "environment": "Environment",
    "tool": "Tool",
    "q": "Text",
}


@require_safe
@requires(APPROVALS_DECIDE)
def approval_list(request: Request) -> HttpResponseBase:
    """What waits for a decision, and what was decided."""
    at = now()
    filterset = ApprovalFilter(request.GET, queryset=visible_approvals(request.access))
    found = filterset.qs if filterset.is_valid() else Approval.objects.none()
    if form := request.GET.get("export"):
        return export(
            name="approvals",
            form=form,
            columns=_COLUMNS,
            rows=_rows(found.order_by("-pk")[:MOST_ROWS], at),
            filters=filters_of(request),
            actor=actor_of(request),
            at=at,
        )
    inbox = not request.GET.get("state")
    page = keyset(found, request, **({"size": _INBOX_SIZE} if inbox else {}))
    waiting = count_waiting(request.access, at=at)
    context = {
        "page": page,
        "rows": shown_approvals(page.rows, request.access, at=at),
        "inbox": inbox,
        "tabs": _tabs(inbox, waiting),
        "filter": filterset,
        "chips": chips(request, _LABELS | _state_label(request)),
        "at": at,
    }
    status = 200 if filterset.is_valid() else 422
    return render(request, "approvals/approvals.html", context, status=status)


def _state_label(request: Request) -> dict[str, str]:
    """All states are the history as it is, not a filter that could be taken away."""
    return {} if request.GET.get("state") == ALL else {"state": "State"}


def _tabs(inbox: bool, waiting: int) -> list[dict[str, Any]]:
    url = reverse("approvals")
    return [
        {"label": "Waiting for you", "url": url, "current": inbox, "count": waiting},
        {"label": "History", "url": f"{url}?state={ALL}", "current": not inbox},
    ]


def _rows(found: Iterable[Approval], at: datetime) -> Iterator[list[Any]]:
    for one in found:
        yield [
            one.uid,
            state_of(one, at=at),
            one.tool,
            one.tool_version,
            one.run,
            one.step,
            one.team,
            one.environment,
            " ".join(one.requesters),
            one.asked_because,
            one.arguments_digest,
            one.policy_revision,
            one.requested_at,
            one.expires_at,
            one.decided_at,
            one.decided_by,
            one.reason,
            one.used_at,
        ]


@require_safe
@requires(APPROVALS_DECIDE)
def approval_detail(request: Request, uid: str) -> HttpResponse:
    """One request: the exact call, what it is bound to, and the decision."""
    return _page(request, approval_for(request.access, uid), None, 200)


def _page(
    request: Request, approval: Approval, form: DecisionForm | None, status: int
) -> HttpResponse:
    at = now()
    may_audit = request.access.may(AUDIT_READ)
    shown = shown_approvals([approval], request.access, at=at)[0]
    context = {
        "row": shown,
        "approval": approval,
        "form": form,
        "deciders": deciders(approval) if shown.is_open else (),
        "events": events_on("approval", approval.uid) if may_audit else [],
        "may_audit": may_audit,
        "at": at,
    }
    return render(request, "approvals/approval.html", context, status=status)


@require_POST
@requires(APPROVALS_DECIDE)
def approval_decide(request: Request, uid: str) -> HttpResponse:
    """Approve or reject; one's own request is refused, and that is on record."""
    approval = approval_for(request.access, uid)
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _page(request, approval, form, 422)
    try:
        decided = decide_approval(
            uid=approval.uid,
            approve=form.approves,
            reason=form.cleaned_data["reason"],
            actor=actor_of(request),
            at=now(),
        )
    except Denied:
        raise
    except TollgateError as error:
        form.add_error(None, error.message)
        approval.refresh_from_db()
        return _page(request, approval, form, error.status)
    messages.success(
        request, f"{decided.tool} in {decided.run} is {decided.state}; the run goes on."
    )
    return redirect("approvals")
