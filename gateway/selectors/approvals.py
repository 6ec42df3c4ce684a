"""Approvals as people see them: the exact call, who asked, and who may decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from core.errors import NotFound
from gateway.models import Run
from gateway.selectors.excerpts import Excerpt, excerpt_of
from gateway.selectors.runs import shown_json
from policy.access import APPROVALS_DECIDE, Access
from policy.models import Approval, Membership

State = Approval.State
_MOST_NAMED = 5


def visible_approvals(access: Access) -> QuerySet[Approval]:
    """Approvals of the teams that this person decides for."""
    teams = access.teams_for(APPROVALS_DECIDE)
    found = Approval.objects.all()
    return found if teams is None else found.filter(team__in=teams)


def approval_for(access: Access, uid: str) -> Approval:
    """One approval. Raises NotFound, also for one of somebody else's team."""
    approval = visible_approvals(access).filter(uid=uid).first()
    if approval is None:
        raise NotFound(f"There is no approval {uid[:40]} that you may see.")
    return approval


def in_state(
    approvals: QuerySet[Approval], state: str, *, at: datetime
) -> QuerySet[Approval]:
    """Those in a state; a request whose time is up counts as expired at once."""
    over = Q(state=State.PENDING, expires_at__lte=at)
    if state == State.PENDING:
        return approvals.filter(state=State.PENDING, expires_at__gt=at)
    if state == State.EXPIRED:
        return approvals.filter(Q(state=State.EXPIRED) | over)
    return approvals.filter(state=state)


def own_id(access: Access) -> str:
    """This person as approvals name those who asked."""
    return f"user:{access.username}"


def count_waiting(access: Access, *, at: datetime) -> int:
    """How many requests this person may decide now: all but their own; one query."""
    found = in_state(visible_approvals(access), State.PENDING, at=at)
    return found.exclude(requesters__contains=[own_id(access)]).count()


@dataclass(frozen=True, slots=True)
class ShownApproval:
    """One request with everything that a decision needs.

    ``state`` is ``expired`` from the moment its time is up. ``run`` is None once the
    run is gone; ``may_decide`` holds for an open request that is not one's own.
    """

    approval: Approval
    state: str
    arguments: str
    run: Run | None
    excerpt: Excerpt | None
    own: bool

    @property
    def is_open(self) -> bool:
        return self.state == State.PENDING

    @property
    def may_decide(self) -> bool:
        return self.is_open and not self.own


def shown_approvals(
    approvals: Sequence[Approval], access: Access, *, at: datetime
) -> list[ShownApproval]:
    """What pages show of these approvals; one query whatever their number."""
    wanted = {approval.run for approval in approvals}
    runs = {
        run.uid: run
        for run in Run.objects.filter(uid__in=wanted)
        .select_related("task")
        .only("uid", "code", "language", "mode", "status", "attempt", "model",
              "principal_label", "project", "task__uid", "task__label")
    }  # fmt: skip
    return [_shown(one, runs.get(one.run), access, at) for one in approvals]


def _shown(
    approval: Approval, run: Run | None, access: Access, at: datetime
) -> ShownApproval:
    return ShownApproval(
        approval,
        state=state_of(approval, at=at),
        arguments=shown_json(approval.arguments),
        run=run,
        excerpt=excerpt_of(run, approval.tool),
        own=own_id(access) in approval.requesters,
    )


def state_of(approval: Approval, *, at: datetime) -> str:
    """The state in force: a request that nobody decided in time has expired."""
    over = approval.state == State.PENDING and approval.expires_at <= at
    return State.EXPIRED.value if over else approval.state


def approvals_of(run: Run) -> list[Approval]:
    """Everything a run asked for, by step."""
    return list(Approval.objects.filter(run=run.uid).order_by("step"))


def deciders(team: str, *, without: Sequence[str]) -> tuple[str, ...]:
    """Names of people who may decide for a team, its own approvers first.

    ``without`` are actor ids that may not, since they asked.
    """
    roles = Membership.Role
    may = Q(team__slug=team, role=roles.APPROVER) | Q(role=roles.ADMIN)
    # "approver" sorts after "admin": those who know the team's work come first.
    rows = (
        Membership.objects.filter(may, user__is_active=True)
        .select_related("user")
        .order_by("-role", "user__username", "pk")
    )
    names: dict[str, str] = {}
    for row in rows:
        user = row.user
        if f"user:{user.username}" not in without:
            names.setdefault(user.username, user.get_full_name() or user.username)
    return tuple(names.values())[:_MOST_NAMED]
