"""Pages of approvals: the inbox, their history, one of them, and the decision."""

from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from audit.history import history_of
from audit.services.exports import MOST_ROWS, export
from core.clock import now
from core.errors import Denied, Invalid, TollgateError
from core.tables import chips, filters_of, keyset
from gateway.hold_filters import ALL, ApprovalFilter
from gateway.hold_forms import DecisionForm
from gateway.selectors.approval_figures import by_audience, by_rule, in_all
from gateway.selectors.approvals import (
    approval_for,
    asking,
    count_waiting,
    inbox_items,
    shown_approvals,
    state_of,
    visible_approvals,
)
from gateway.services.holds import decide_all, decide_approval
from policy.access import APPROVALS_DECIDE
from policy.approvers import deciders
from policy.models import Approval
from policy.web import Request, actor_of, requires

_INBOX_SIZE = 50
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
    "seconds_to_decision",
    "asks",
    "rules",
    "votes",
)
_LABELS = {
    "team": "Team",
    "environment": "Environment",
    "tool": "Tool",
    "rule": "Rule",
    "asks": "Asks",
    "person": "Person",
    "period": "Asked in",
    "q": "Text",
}


@require_safe
@requires(APPROVALS_DECIDE)
def approval_list(request: Request) -> HttpResponseBase:
    """What waits for a decision, and what was decided."""
    at = now()
    inbox = not request.GET.get("state")
    rows = asking(request.access, at=at) if inbox else visible_approvals(request.access)
    filterset = ApprovalFilter(request.GET, queryset=rows)
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
    page = keyset(found, request, **({"size": _INBOX_SIZE} if inbox else {}))
    shown = shown_approvals(page.rows, request.access, at=at)
    context = {
        "page": page,
        "rows": shown,
        "items": inbox_items(shown) if inbox else [],
        "inbox": inbox,
        "tabs": _tabs("inbox" if inbox else "history", _waiting(request, at)),
        "filter": filterset,
        "chips": chips(request, _LABELS | _state_label(request)),
        "more": any(request.GET.get(name) for name in ("rule", "asks", "person")),
        "at": at,
    }
    status = 200 if filterset.is_valid() else 422
    return render(request, "approvals/approvals.html", context, status=status)


def _waiting(request: Request, at: datetime) -> int:
    return count_waiting(request.access, at=at)


@require_safe
@requires(APPROVALS_DECIDE)
def approval_figures(request: Request) -> HttpResponse:
    """How long decisions take, and how they turn out."""
    at = now()
    wanted = request.GET.copy()
    wanted.setdefault("state", ALL)
    wanted.setdefault("period", "30d")
    filterset = ApprovalFilter(wanted, queryset=visible_approvals(request.access))
    valid = filterset.is_valid()
    found = filterset.qs if valid else Approval.objects.none()
    context = {
        "all": in_all(found),
        "parts": [("By rule", "rule", by_rule(found)), ("By who is asked", "asks",
                  by_audience(found))],
        "tabs": _tabs("figures", _waiting(request, at)),
        "filter": filterset,
        "at": at,
    }  # fmt: skip
    status = 200 if valid else 422
    return render(request, "approvals/figures.html", context, status=status)


def _state_label(request: Request) -> dict[str, str]:
    """All states are the history as it is, not a filter that could be taken away."""
    return {} if request.GET.get("state") == ALL else {"state": "State"}


def _tabs(current: str, waiting: int) -> list[dict[str, Any]]:
    url = reverse("approvals")
    tabs: list[dict[str, Any]] = [
        {"name": "inbox", "label": "Waiting for you", "url": url, "count": waiting},
        {"name": "history", "label": "History", "url": f"{url}?state={ALL}"},
        {"name": "figures", "label": "Figures", "url": reverse("approval_figures")},
    ]
    return [tab | {"current": tab["name"] == current} for tab in tabs]


def _rows(found: QuerySet[Approval], at: datetime) -> Iterator[list[Any]]:
    rows = found.prefetch_related("routes", "votes").iterator(chunk_size=500)
    for one in rows:
        routes = sorted(one.routes.all(), key=attrgetter("position"))
        votes = sorted(one.votes.all(), key=attrgetter("pk"))
        taken = one.decided_at - one.requested_at if one.decided_at else None
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
            taken.total_seconds() if taken else None,
            "; ".join(map(str, routes)),
            " ".join(route.rule for route in routes if route.rule),
            "; ".join(f"{vote} ({vote.reason})" for vote in votes),
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
    shown = shown_approvals([approval], request.access, at=at)[0]
    context = {
        "row": shown,
        "approval": approval,
        "form": form,
        "deciders": deciders(approval) if shown.is_open else (),
        **history_of(request.access, "approval", approval.uid),
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
    messages.success(request, _said(decided))
    return redirect("approvals")


def _said(decided: Approval) -> str:
    call = f"{decided.tool} in {decided.run}"
    if decided.state == Approval.State.PENDING:
        return f"You agreed to {call}; it waits for others to agree too."
    return f"{call} is {decided.state}; the run goes on."


@require_POST
@requires(APPROVALS_DECIDE)
def approvals_decide(request: Request) -> HttpResponse:
    """Decide on identical calls by one form: each by itself, each on record."""
    form = DecisionForm(request.POST)
    uids = request.POST.getlist("approval")
    if not form.is_valid():
        raise Invalid("Choose approve or reject, and give a reason.")
    seen = visible_approvals(request.access).filter(uid__in=uids)
    known = set(seen.values_list("uid", flat=True))
    done = decide_all(
        uids=[uid for uid in uids if uid in known],
        approve=form.approves,
        reason=form.cleaned_data["reason"],
        actor=actor_of(request),
        at=now(),
    )
    decided = [one for one in done if one.approval]
    if decided:
        word = "approved" if form.approves else "rejected"
        messages.success(
            request, f"You {word} {len(decided)} calls; each is on record."
        )
    for one in done:
        if one.error:
            messages.warning(request, f"{one.uid} was skipped: {one.error}")
    return redirect("approvals")
