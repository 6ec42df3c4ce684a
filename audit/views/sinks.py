"""Pages of audit sinks: where the trail goes, how far it has come, what is stuck."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from audit.models import Sink
from audit.sealed import head
from audit.services import dead_letters, sinks
from audit.sink_forms import ReasonForm, SinkForm
from audit.sink_states import sink_state, sink_states
from audit.sinks import KINDS
from audit.web import AUDIT_ADMIN, AUDIT_READ, SignedIn, actor_of, requires
from core.clock import now
from core.errors import NotFound
from core.forms import attempt, posted
from core.tables import keyset


@require_safe
@requires(AUDIT_READ)
def sink_list(request: SignedIn) -> HttpResponse:
    """Every sink with its state and lag."""
    at = now()
    context = {
        "states": sink_states(at=at),
        "head": head(),
        "may_change": request.access.may(AUDIT_ADMIN),
        "at": at,
    }
    return render(request, "audit/sinks.html", context)


@require_safe
@requires(AUDIT_ADMIN)
def sink_choose(request: SignedIn) -> HttpResponse:
    """The kinds of sinks, to add one."""
    return render(request, "audit/sink_choose.html", {"kinds": KINDS.items()})


@require_http_methods(["GET", "HEAD", "POST"])
@requires(AUDIT_ADMIN)
def sink_add(request: SignedIn, kind: str) -> HttpResponse:
    """A new sink of one kind."""
    if kind not in KINDS:
        raise NotFound(f"There is no kind of sink {kind}.")
    form = SinkForm(posted(request), kind=kind)
    made: list[Sink] = []
    if request.method == "POST" and attempt(
        form,
        lambda: made.append(
            sinks.create_sink(
                wanted=form.wanted,
                from_start=form.from_start,
                actor=actor_of(request),
                at=now(),
            )
        ),
    ):
        messages.success(request, f"{made[0].name} was added. Test it now.")
        return redirect("audit_sink", made[0].pk)
    context = {"form": form, "kind": kind, "label": KINDS[kind].label}
    status = 422 if request.method == "POST" else 200
    return render(request, "audit/sink_add.html", context, status=status)


@require_safe
@requires(AUDIT_READ)
def sink(request: SignedIn, pk: int) -> HttpResponse:
    """One sink: state, settings without secrets, dead letters."""
    at = now()
    found = sink_state(pk, at=at)
    context = {
        "state": found,
        "sink": found.sink,
        "page": keyset(found.sink.dead.defer("body"), request),
        "may_change": request.access.may(AUDIT_ADMIN),
        "reason": ReasonForm(),
        "at": at,
    }
    return render(request, "audit/sink.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(AUDIT_ADMIN)
def sink_change(request: SignedIn, pk: int) -> HttpResponse:
    """Change a sink; its place in the trail stays."""
    found = sinks.find_sink(pk)
    form = SinkForm(posted(request), kind=found.kind, sink=found)
    if request.method == "POST" and attempt(
        form,
        lambda: sinks.change_sink(
            sink_id=pk, wanted=form.wanted, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The sink was changed. Test it now.")
        return redirect("audit_sink", pk)
    context = {"form": form, "sink": found}
    status = 422 if request.method == "POST" else 200
    return render(request, "audit/sink_change.html", context, status=status)


@require_POST
@requires(AUDIT_ADMIN)
def sink_test(request: SignedIn, pk: int) -> HttpResponse:
    """Send the newest sealed event once more."""
    if error := sinks.test_sink(sink_id=pk, actor=actor_of(request), at=now()):
        messages.error(request, f"The test failed: {error}")
    else:
        messages.success(request, "It took the newest sealed event.")
    return redirect("audit_sink", pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(AUDIT_ADMIN)
def sink_pause(request: SignedIn, pk: int) -> HttpResponse:
    """Deliver nothing for a while."""
    form = ReasonForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: sinks.pause_sink(
            sink_id=pk, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The sink is paused. Nothing is lost meanwhile.")
        return redirect("audit_sink", pk)
    return _with_reason(request, "audit/sink_pause.html", form, pk)


@require_POST
@requires(AUDIT_ADMIN)
def sink_resume(request: SignedIn, pk: int) -> HttpResponse:
    """Go on where it stopped."""
    sinks.resume_sink(sink_id=pk, actor=actor_of(request), at=now())
    messages.success(request, "The sink goes on where it stopped.")
    return redirect("audit_sink", pk)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(AUDIT_ADMIN)
def sink_remove(request: SignedIn, pk: int) -> HttpResponse:
    """Remove a sink that holds no dead letters."""
    form = ReasonForm(posted(request))
    if request.method == "POST" and attempt(
        form,
        lambda: sinks.remove_sink(
            sink_id=pk, **form.cleaned_data, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The sink was removed.")
        return redirect("audit_sinks")
    return _with_reason(request, "audit/sink_remove.html", form, pk)


@require_POST
@requires(AUDIT_ADMIN)
def sink_resend(request: SignedIn, pk: int) -> HttpResponse:
    """Send dead letters again: those that are ticked, or all."""
    ticked = [int(one) for one in request.POST.getlist("letter") if one.isdecimal()]
    count = dead_letters.ask_again(
        sink_id=pk, letters=ticked or None, actor=actor_of(request), at=now()
    )
    messages.success(request, f"{count} dead letters are sent again in a moment.")
    return redirect("audit_sink", pk)


def _with_reason(
    request: SignedIn, template: str, form: ReasonForm, pk: int
) -> HttpResponse:
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "sink": sinks.find_sink(pk)}
    return render(request, template, context, status=status)
