"""Approvals as people see them: the exact call, who asked, and who may decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from django.db.models import (
    Exists,
    OuterRef,
    Q,
    QuerySet,
    prefetch_related_objects,
)

from core.errors import NotFound
from gateway.models import Run
from gateway.selectors.excerpts import Excerpt, excerpt_of
from gateway.selectors.runs import shown_json
from policy.access import Access
from policy.models import Approval, ApprovalRoute, ApprovalVote
from policy.routing import ADMIN, APPROVER, FINANCE

State = Approval.State


def visible_approvals(access: Access) -> QuerySet[Approval]:
    """What this person may look at: their teams' as an approver, and what asks them.

    Administrators see all.
    """
    found = Approval.objects.all()
    if ADMIN in access.roles:
        return found
    own_teams = [team for team, roles in access.teams.items() if APPROVER in roles]
    return found.filter(Q(team__in=own_teams) | Exists(_routes_to(access)))


def asking(access: Access, *, at: datetime) -> QuerySet[Approval]:
    """Open requests that ask this person and that they have not voted on.

    Their own are among them: pages say that somebody else has to decide.
    """
    voted = ApprovalVote.objects.filter(approval=OuterRef("pk"), voter=own_id(access))
    open_routes = _routes_to(access).filter(satisfied_at=None)
    return in_state(Approval.objects.all(), State.PENDING, at=at).filter(
        Exists(open_routes), ~Exists(voted)
    )


def _routes_to(access: Access) -> QuerySet[ApprovalRoute]:
    """Routes of an outer approval that have this person in their audience."""
    first = _audience_of(access, "")
    further = _audience_of(access, "escalate_") & Q(escalated_at__isnull=False)
    return ApprovalRoute.objects.filter(first | further, approval=OuterRef("pk"))


def _audience_of(access: Access, prefix: str) -> Q:
    kind, name = f"{prefix}kind", f"{prefix}name"
    everywhere = set(access.roles & {FINANCE, ADMIN})
    if ADMIN in access.roles:
        everywhere.add(APPROVER)
    teams = [team for team, roles in access.teams.items() if APPROVER in roles]
    return (
        Q(**{kind: "group", f"{name}__in": sorted(access.groups)})
        | Q(**{kind: "role", f"{name}__in": sorted(everywhere)})
        | Q(**{kind: "role", name: APPROVER, "approval__team__in": teams})
    )


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
    found = asking(access, at=at)
    return found.exclude(requesters__contains=[own_id(access)]).count()


@dataclass(frozen=True, slots=True)
class ShownRoute:
    """One demand: whom it asks, how many agreed, and which rule makes it.

    ``mine`` says whether it asks the person who looks.
    """

    route: ApprovalRoute
    agreed: int
    mine: bool

    @property
    def whom(self) -> str:
        """The audiences in words, such as "group refund-board or role admin"."""
        return " or ".join(str(audience) for audience in self.route.audiences)


@dataclass(frozen=True, slots=True)
class ShownApproval:
    """One request with everything that a decision needs.

    ``state`` is ``expired`` from the moment its time is up. ``run`` is None once the
    run is gone; ``may_decide`` holds for an open request that asks the person who
    looks, is not their own, and that they have not voted on.
    """

    approval: Approval
    state: str
    arguments: str
    run: Run | None
    excerpt: Excerpt | None
    own: bool
    routes: tuple[ShownRoute, ...]
    votes: tuple[ApprovalVote, ...]
    voted: bool

    @property
    def is_open(self) -> bool:
        return self.state == State.PENDING

    @property
    def asked(self) -> bool:
        """Whether a route that still lacks people asks the person who looks."""
        return any(one.mine and not one.route.satisfied_at for one in self.routes)

    @property
    def mine(self) -> bool:
        """Whether any route asks the person who looks, satisfied or not."""
        return any(one.mine for one in self.routes)

    @property
    def may_decide(self) -> bool:
        return self.is_open and self.asked and not self.own and not self.voted


def shown_approvals(
    approvals: Sequence[Approval], access: Access, *, at: datetime
) -> list[ShownApproval]:
    """What pages show of these approvals; three queries whatever their number."""
    wanted = {approval.run for approval in approvals}
    runs = {
        run.uid: run
        for run in Run.objects.filter(uid__in=wanted)
        .select_related("task")
        .only("uid", "code", "language", "mode", "status", "attempt", "model", "cost",
              "currency", "principal_label", "project", "task__uid", "task__label")
    }  # fmt: skip
    prefetch_related_objects(approvals, "routes", "votes")
    return [_shown(one, runs.get(one.run), access, at) for one in approvals]


@dataclass(frozen=True, slots=True)
class InboxItem:
    """Requests for the same call, that one form decides; mostly it is one."""

    rows: tuple[ShownApproval, ...]

    @property
    def first(self) -> ShownApproval:
        """The one that is shown in full: one that may be decided, if any may."""
        return next((row for row in self.rows if row.may_decide), self.rows[0])

    @property
    def decidable(self) -> int:
        """How many of them the person who looks may decide."""
        return sum(row.may_decide for row in self.rows)


def inbox_items(rows: Sequence[ShownApproval]) -> list[InboxItem]:
    """Rows put together that ask for the same call, in the order they came.

    The same are tool, version, arguments (by digest), environment and what asks.
    """
    found: dict[tuple[object, ...], list[ShownApproval]] = {}
    for row in rows:
        one = row.approval
        same = (one.tool, one.tool_version, one.arguments_digest, one.environment)
        found.setdefault((*same, one.team, one.asked_digest), []).append(row)
    return [InboxItem(tuple(group)) for group in found.values()]


def _shown(
    approval: Approval, run: Run | None, access: Access, at: datetime
) -> ShownApproval:
    votes = tuple(sorted(approval.votes.all(), key=attrgetter("pk")))
    return ShownApproval(
        approval,
        state=state_of(approval, at=at),
        arguments=shown_json(approval.arguments),
        run=run,
        excerpt=excerpt_of(run, approval.tool),
        own=own_id(access) in approval.requesters,
        routes=shown_routes(approval, votes, access),
        votes=votes,
        voted=own_id(access) in {vote.voter for vote in votes},
    )


def shown_routes(
    approval: Approval, votes: Sequence[ApprovalVote], access: Access
) -> tuple[ShownRoute, ...]:
    """The demands in their order, with the votes that count for each."""
    return tuple(
        ShownRoute(
            route,
            agreed=sum(
                vote.approve and route.position in vote.routes for vote in votes
            ),
            mine=any(
                access.belongs_to(audience, team=approval.team)
                for audience in route.audiences
            ),
        )
        for route in sorted(approval.routes.all(), key=attrgetter("position"))
    )


def state_of(approval: Approval, *, at: datetime) -> str:
    """The state in force: a request that nobody decided in time has expired."""
    over = approval.state == State.PENDING and approval.expires_at <= at
    return State.EXPIRED.value if over else approval.state


def approvals_of(run: Run) -> list[Approval]:
    """Everything a run asked for, by step."""
    return list(Approval.objects.filter(run=run.uid).order_by("step"))
