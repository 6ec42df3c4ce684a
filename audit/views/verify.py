"""Whether the trail can be trusted: how far it is sealed, and what was verified."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from audit import events, tree
from audit.actor import Target
from audit.findings import KINDS
from audit.models import Verification
from audit.notes import Key
from audit.services.record import record
from audit.signing import trusted_keys
from audit.web import AUDIT_READ, SignedIn, actor_of, requires
from core.clock import now
from core.jobs import enqueue

_SHOWN = 20
_BEHIND_SECONDS = 60


@require_safe
@requires(AUDIT_READ)
def verify(request: SignedIn) -> HttpResponse:
    """Verified up to which event, when, by which key; the last runs; sealing."""
    at = now()
    state = tree.state()
    runs = list(Verification.objects.order_by("-pk")[:_SHOWN])
    last = runs[0] if runs else None
    lag = state.lag_seconds(at)
    context = {
        "state": state,
        "lag": lag,
        "behind": lag > _BEHIND_SECONDS,
        "runs": runs,
        "last": last,
        "signers": [Key.parse(line) for line in last.keys] if last else [],
        "findings": [
            {**one, "title": KINDS[one["code"]][1], "verdict": KINDS[one["code"]][0]}
            for one in (last.findings if last else [])
        ],
        "keys": trusted_keys(),
        "checkpoint": tree.latest(),
        "at": at,
    }
    return render(request, "audit/verify.html", context)


@require_POST
@requires(AUDIT_READ)
def verify_now(request: SignedIn) -> HttpResponse:
    """Have a worker verify everything; its result appears on the page."""
    record(
        events.VERIFICATION_ASKED,
        actor=actor_of(request),
        at=now(),
        target=Target("trail", "audit", "audit trail"),
    )
    enqueue("audit.verify", whole=True)
    messages.success(request, "A verification of everything was started.")
    return redirect("verify")
