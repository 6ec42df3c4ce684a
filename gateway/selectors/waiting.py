"""What a held run waits for, who may decide, and how long it was held."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from audit.models import Event
from gateway import events
from gateway.models import Run, ToolCall
from gateway.models.catalog import Effect
from gateway.selectors.approvals import visible_approvals
from gateway.selectors.outcomes import safe_from
from policy.access import OUTCOMES_RESOLVE, Access
from policy.approvers import deciders, team_deciders
from policy.models import Approval


@dataclass(frozen=True, slots=True)
class Wait:
    """One decision that a run waits for. ``url`` is empty for who may not decide.

    A ``lookup`` is nobody's: it is made after ``expires_at``.
    """

    what: str
    step: int
    tool: str
    url: str
    expires_at: datetime | None
    who: tuple[str, ...]


def waits_of(run: Run, access: Access) -> tuple[Wait, ...]:
    """Every decision that the run waits for; () while it waits for nobody."""
    if run.status == Run.Status.AWAITING_APPROVAL:
        return tuple(_approvals(run, access))
    if run.status == Run.Status.AWAITING_OUTCOME:
        return tuple(_outcomes(run, access))
    return ()


def _approvals(run: Run, access: Access) -> Iterator[Wait]:
    asked = Approval.objects.filter(run=run.uid, state=Approval.State.PENDING)
    visible = set(
        visible_approvals(access).filter(run=run.uid).values_list("pk", flat=True)
    )
    who: dict[str, tuple[str, ...]] = {}
    for approval in asked.order_by("step")[:20]:
        # What is asked for by the same rules asks the same people.
        if approval.asked_digest not in who:
            who[approval.asked_digest] = deciders(approval)
        yield Wait(
            "approval",
            approval.step,
            approval.tool,
            reverse("approval", args=[approval.uid]) if approval.pk in visible else "",
            approval.expires_at,
            who[approval.asked_digest],
        )


def _outcomes(run: Run, access: Access) -> Iterator[Wait]:
    unknown = run.calls.filter(outcome=ToolCall.Outcome.UNKNOWN)
    who = team_deciders(run.team)
    for pk, step, tool in unknown.order_by("step").values_list("pk", "step", "tool")[
        :20
    ]:
        url = reverse("outcome_resolve", args=[pk]) if _may(run, access) else ""
        yield Wait("outcome", step, tool, url, None, who)
    writes = run.calls.filter(outcome="").exclude(effect=Effect.READ)
    for call in writes.order_by("step")[:20]:
        yield Wait("lookup", call.step, call.tool, "", safe_from(call), who)


def _may(run: Run, access: Access) -> bool:
    teams = access.teams_for(OUTCOMES_RESOLVE)
    return teams is None or run.team in teams


def held_seconds(run: Run, *, at: datetime) -> float:
    """Seconds that the run has waited for people, up to ``at`` where it still does."""
    if run.ended or run.held_since is None:
        return run.hold_seconds
    return run.hold_seconds + max(0.0, (at - run.held_since).total_seconds())


@dataclass(frozen=True, slots=True)
class Hold:
    """A time in which the run waited for a person; ``until`` is None while it does."""

    since: datetime
    until: datetime | None


def holds_of(run: Run) -> tuple[Hold, ...]:
    """When the run was held, from the trail; no query for a run that never was."""
    if not run.hold_seconds and run.held_since is None:
        return ()
    held, resumed = events.RUN_HELD.name, events.RUN_RESUMED.name
    rows = Event.objects.filter(run=run.uid, name__in=[held, resumed]).order_by("pk")
    found: list[Hold] = []
    since: datetime | None = None
    for name, at in rows.values_list("name", "at")[:200]:
        if name == held:
            since = at
        elif since is not None:
            found.append(Hold(since, at))
            since = None
    if since is not None:
        found.append(Hold(since, run.finished_at))
    return tuple(found)
