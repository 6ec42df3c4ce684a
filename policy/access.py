"""What a signed-in person may see and do in the browser and the REST API."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.db.models import F, Value

from audit.actor import Actor
from policy.models import GroupPerson, Membership, User
from policy.routing import ADMIN, APPROVER, Audience

Role = Membership.Role

CATALOG_READ = "catalog.read"
CATALOG_ADMIN = "catalog.admin"
RUNS_READ = "runs.read"
RUNS_EXECUTE = "runs.execute"
AUDIT_READ = "audit.read"
AUDIT_ADMIN = "audit.admin"
AUDIT_HOLD = "audit.hold"
COSTS_READ = "costs.read"
COSTS_ADMIN = "costs.admin"
CHARGEBACK_DISPUTE = "chargeback.dispute"
REPORTS_ANNOTATE = "reports.annotate"
APPROVALS_DECIDE = "approvals.decide"
OUTCOMES_RESOLVE = "outcomes.resolve"
IDENTITY_READ = "identity.read"
IDENTITY_ADMIN = "identity.admin"
POLICY_READ = "policy.read"
POLICY_ADMIN = "policy.admin"

_ALLOWS: dict[str, frozenset[str]] = {
    Role.MEMBER: frozenset(
        {
            CATALOG_READ,
            RUNS_READ,
            RUNS_EXECUTE,
            COSTS_READ,
            CHARGEBACK_DISPUTE,
            REPORTS_ANNOTATE,
            IDENTITY_READ,
            POLICY_READ,
        }
    ),
    Role.APPROVER: frozenset(
        {
            CATALOG_READ,
            RUNS_READ,
            RUNS_EXECUTE,
            COSTS_READ,
            CHARGEBACK_DISPUTE,
            REPORTS_ANNOTATE,
            IDENTITY_READ,
            POLICY_READ,
            APPROVALS_DECIDE,
            OUTCOMES_RESOLVE,
        }
    ),
    Role.AUDITOR: frozenset(
        {
            CATALOG_READ,
            RUNS_READ,
            AUDIT_READ,
            AUDIT_HOLD,
            COSTS_READ,
            IDENTITY_READ,
            POLICY_READ,
        }
    ),
    Role.FINANCE: frozenset(
        {
            CATALOG_READ,
            RUNS_READ,
            COSTS_READ,
            COSTS_ADMIN,
            REPORTS_ANNOTATE,
            APPROVALS_DECIDE,
        }
    ),
    Role.ADMIN: frozenset(
        {
            CATALOG_READ,
            CATALOG_ADMIN,
            RUNS_READ,
            RUNS_EXECUTE,
            AUDIT_READ,
            AUDIT_ADMIN,
            AUDIT_HOLD,
            COSTS_READ,
            COSTS_ADMIN,
            CHARGEBACK_DISPUTE,
            REPORTS_ANNOTATE,
            APPROVALS_DECIDE,
            OUTCOMES_RESOLVE,
            IDENTITY_READ,
            IDENTITY_ADMIN,
            POLICY_READ,
            POLICY_ADMIN,
        }
    ),
}
# In these roles a person works for the whole organisation, not for one team.
_EVERYWHERE = frozenset({Role.AUDITOR, Role.FINANCE, Role.ADMIN})
# What a person named in an approver group may do, whatever their roles. Which requests
# they see and decide is up to the routes of each.
_IN_A_GROUP = frozenset({APPROVALS_DECIDE})


@dataclass(frozen=True, slots=True)
class Access:
    """A person's rights, worked out once a request.

    ``teams`` maps each team's slug to the roles held there; ``groups`` are the
    approver groups that name this person.
    """

    user_id: int
    username: str
    teams: dict[str, frozenset[str]]
    groups: frozenset[str] = frozenset()

    def may(self, capability: str) -> bool:
        """Whether any role or group gives this capability somewhere."""
        if self.groups and capability in _IN_A_GROUP:
            return True
        return any(
            capability in _ALLOWS[role]
            for roles in self.teams.values()
            for role in roles
        )

    def everywhere(self, capability: str) -> bool:
        """Whether the capability reaches every team."""
        return any(
            role in _EVERYWHERE and capability in _ALLOWS[role]
            for roles in self.teams.values()
            for role in roles
        )

    def teams_for(self, capability: str) -> frozenset[str] | None:
        """Slugs of the teams whose rows may be seen; None stands for all of them."""
        if self.everywhere(capability):
            return None
        return frozenset(
            team
            for team, roles in self.teams.items()
            if any(capability in _ALLOWS[role] for role in roles)
        )

    def belongs_to(self, audience: Audience, *, team: str) -> bool:
        """Whether the audience of a call of ``team`` has this person in it."""
        if audience.kind == "group":
            return audience.name in self.groups
        if audience.name == APPROVER:
            return ADMIN in self.roles or APPROVER in self.teams.get(team, ())
        return audience.name in self.roles

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(role for roles in self.teams.values() for role in roles)

    def roles_for(self, team: str) -> tuple[str, ...]:
        """Roles in which this person acts for a team: its own, and everywhere's."""
        return tuple(sorted(self.teams.get(team, frozenset()) | self._wide))

    @property
    def _wide(self) -> frozenset[str]:
        return self.roles & _EVERYWHERE


def collect(
    user: User, rows: Iterable[tuple[str, str]], groups: Iterable[str] = ()
) -> Access:
    """Access from (team slug, role) rows and names of approver groups."""
    teams: dict[str, set[str]] = {}
    for team, role in rows:
        teams.setdefault(team, set()).add(role)
    return Access(
        user_id=user.pk,
        username=user.get_username(),
        teams={team: frozenset(roles) for team, roles in teams.items()},
        groups=frozenset(groups),
    )


NOBODY = Access(user_id=0, username="", teams={})


def access_of(user: User | AnonymousUser) -> Access:
    """The access of a person, in one query; nobody's when not signed in."""
    if not isinstance(user, User):
        return NOBODY
    roles = Membership.objects.filter(user=user, user__is_active=True).values_list(
        "team__slug", "role"
    )
    # A group has no role: an empty one tells its rows from those of teams.
    groups = (
        GroupPerson.objects.filter(user=user, user__is_active=True)
        .annotate(slug=F("group__slug"), no_role=Value(""))
        .values_list("slug", "no_role")
    )
    rows = list(roles.union(groups, all=True))
    return collect(
        user,
        [row for row in rows if row[1]],
        [name for name, role in rows if not role],
    )


def standing_of(actor: Actor) -> Access:
    """What a decision's actor may decide; nobody's for keys and for the system.

    Whoever holds a terminal of this installation counts as an administrator: they
    could make themselves one.
    """
    if actor.kind == "system" and actor.id.startswith("cli:"):
        return Access(user_id=0, username=actor.id, teams={"": frozenset({ADMIN})})
    if actor.kind != "user":
        return NOBODY
    user = User.objects.filter(username=actor.id.removeprefix("user:")).first()
    return access_of(user) if user else NOBODY


def roles_of(actor_id: str, team: str) -> tuple[str, ...]:
    """Roles in which the person behind an actor id acts for a team; one query."""
    kind, _, username = actor_id.partition(":")
    user = User.objects.filter(username=username).first() if kind == "user" else None
    return access_of(user).roles_for(team) if user else ()
