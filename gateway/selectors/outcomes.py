"""Writes that nobody saw the end of, and what people decided about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from core.errors import NotFound
from gateway.models import Run, ToolCall
from gateway.selectors.excerpts import Excerpt, excerpt_of
from gateway.selectors.runs import shown_json
from policy.access import OUTCOMES_RESOLVE, Access

OPEN, DECIDED, ENDED = "open", "decided", "ended"
STATES = (
    (OPEN, "To decide"),
    (DECIDED, "Decided"),
    (ENDED, "Run ended before a decision"),
)
_UNKNOWN = Q(outcome=ToolCall.Outcome.UNKNOWN)
_UNDECIDED = Q(resolution="")
_OVER = Q(run__status__in=Run.ENDED)


def safe_from(call: ToolCall) -> datetime:
    """From when on nobody can still be sending the call (lease and longest call)."""
    return call.intent_at + longest_send()


def longest_send() -> timedelta:
    """How long after its intent a call may still be under way, at the very most."""
    return timedelta(seconds=settings.RUN_LEASE_SECONDS + settings.CALL_LONGEST_SECONDS)


def all_outcomes() -> QuerySet[ToolCall]:
    """Calls whose outcome is or was unknown, with their runs."""
    return (
        ToolCall.objects.filter(_UNKNOWN | ~_UNDECIDED)
        .select_related("run__task")
        .defer("result", "run__value", "run__stdout", "run__direct_arguments")
    )


def visible_outcomes(access: Access) -> QuerySet[ToolCall]:
    """Calls whose outcome is or was unknown, of the teams one decides for."""
    teams = access.teams_for(OUTCOMES_RESOLVE)
    found = all_outcomes()
    return found if teams is None else found.filter(run__team__in=teams)


def in_state(calls: QuerySet[ToolCall], state: str) -> QuerySet[ToolCall]:
    """Those to decide, decided, or left open by a run that ended."""
    if state == DECIDED:
        return calls.exclude(_UNDECIDED)
    found = calls.filter(_UNKNOWN & _UNDECIDED)
    return found.filter(_OVER) if state == ENDED else found.exclude(_OVER)


def outcome_for(access: Access, pk: int) -> ToolCall:
    """One such call. Raises NotFound, also for one of somebody else's team."""
    call = visible_outcomes(access).filter(pk=pk).first()
    if call is None:
        raise NotFound("There is no call with an unknown outcome here that you see.")
    return call


def count_open(access: Access) -> int:
    """How many calls wait for a decision of this person; one query."""
    return in_state(visible_outcomes(access), OPEN).count()


@dataclass(frozen=True, slots=True)
class ShownOutcome:
    """A call with what is needed to find out what became of it.

    Nobody decides before ``decide_from``: until then it may still be under way.
    """

    call: ToolCall
    state: str
    arguments: str
    excerpt: Excerpt | None
    decide_from: datetime
    too_early: bool

    @property
    def may_decide(self) -> bool:
        return self.state == OPEN and not self.too_early


def shown_outcomes(calls: Sequence[ToolCall], *, at: datetime) -> list[ShownOutcome]:
    """What pages show of these calls; no further query."""
    return [shown_outcome(call, at=at) for call in calls]


def shown_outcome(call: ToolCall, *, at: datetime) -> ShownOutcome:
    """One call as pages show it; needs its run."""
    first = safe_from(call)
    return ShownOutcome(
        call,
        state=state_of(call),
        arguments=shown_json(call.arguments),
        excerpt=excerpt_of(call.run, call.tool),
        decide_from=first,
        too_early=at < first or call.run.status not in Run.WAITING,
    )


def state_of(call: ToolCall) -> str:
    """Where a call stands; needs its run."""
    if call.resolution:
        return DECIDED
    return ENDED if call.run.ended else OPEN
