"""What a signed-in person may see and do in the browser and the REST API."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser

from policy.models import Membership, User

Role = Membership.Role

CATALOG_READ = "catalog.read"
CATALOG_ADMIN = "catalog.admin"
RUNS_READ = "runs.read"
RUNS_EXECUTE = "runs.execute"
AUDIT_READ = "audit.read"
COSTS_READ = "costs.read"
COSTS_ADMIN = "costs.admin"
APPROVALS_DECIDE = "approvals.decide"
IDENTITY_READ = "identity.read"
IDENTITY_ADMIN = "identity.admin"

_ALLOWS: dict[str, frozenset[str]] = {
    Role.MEMBER: frozenset(
        {CATALOG_READ, RUNS_READ, RUNS_EXECUTE, COSTS_READ, IDENTITY_READ}
    ),
    Role.APPROVER: frozenset(
        {
            CATALOG_READ,
            RUNS_READ,
            RUNS_EXECUTE,
            COSTS_READ,
            IDENTITY_READ,
            APPROVALS_DECIDE,
        }
    ),
    Role.AUDITOR: frozenset(
        {CATALOG_READ, RUNS_READ, AUDIT_READ, COSTS_READ, IDENTITY_READ}
    ),
    Role.FINANCE: frozenset({CATALOG_READ, RUNS_READ, COSTS_READ, COSTS_ADMIN}),
    Role.ADMIN: frozenset(
        {
            CATALOG_READ,
            CATALOG_ADMIN,
            RUNS_READ,
            RUNS_EXECUTE,
            AUDIT_READ,
            COSTS_READ,
            COSTS_ADMIN,
            APPROVALS_DECIDE,
            IDENTITY_READ,
            IDENTITY_ADMIN,
        }
    ),
}
# In these roles a person works for the whole organisation, not for one team.
_EVERYWHERE = frozenset({Role.AUDITOR, Role.FINANCE, Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Access:
    """A person's rights, worked out once a request.

    ``teams`` maps each team's slug to the roles held there.
    """

    user_id: int
    username: str
    teams: dict[str, frozenset[str]]

    def may(self, capability: str) -> bool:
        """Whether any role gives this capability somewhere."""
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

    @property
    def roles(self) -> frozenset[str]:
        return frozenset(role for roles in self.teams.values() for role in roles)


def collect(user: User, rows: Iterable[tuple[str, str]]) -> Access:
    """Access from (team slug, role) rows."""
    teams: dict[str, set[str]] = {}
    for team, role in rows:
        teams.setdefault(team, set()).add(role)
    return Access(
        user_id=user.pk,
        username=user.get_username(),
        teams={team: frozenset(roles) for team, roles in teams.items()},
    )


NOBODY = Access(user_id=0, username="", teams={})


def access_of(user: User | AnonymousUser) -> Access:
    """The access of a person, in one query; nobody's when not signed in."""
    if not isinstance(user, User):
        return NOBODY
    rows = Membership.objects.filter(user=user, user__is_active=True).values_list(
        "team__slug", "role"
    )
    return collect(user, rows)
