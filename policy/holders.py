"""Who holds a grant: a team or a role, in one environment or in all of them.

Each holder is one permission group of Django, known by its name: ``team:sales``,
``team:sales@prod``, ``role:approver``. No short name has a ``:`` or an ``@`` in it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

TEAM = "team"
ROLE = "role"
_GROUP = re.compile(
    r"^(?P<kind>team|role):(?P<name>[\w-]+)(@(?P<environment>[\w-]+))?$", re.ASCII
)


@dataclass(frozen=True, slots=True, order=True)
class Holder:
    """A team or a role; without ``environment`` its grants hold in all."""

    kind: str
    name: str
    environment: str = ""

    @property
    def group(self) -> str:
        """Name of the permission group."""
        place = f"@{self.environment}" if self.environment else ""
        return f"{self.kind}:{self.name}{place}"

    @property
    def label(self) -> str:
        """Such as ``team sales in prod``."""
        place = f" in {self.environment}" if self.environment else ""
        return f"{self.kind} {self.name}{place}"


def parse(group: str) -> Holder | None:
    """The holder that a permission group stands for; None for any other text."""
    found = _GROUP.match(group)
    if not found:
        return None
    return Holder(found["kind"], found["name"], found["environment"] or "")


def holders_of(
    *, team: str, roles: Iterable[str], environment: str
) -> tuple[Holder, ...]:
    """Whose grants hold for one who acts for ``team`` with ``roles`` somewhere."""
    return tuple(
        Holder(kind, name, place)
        for kind, name in ((TEAM, team), *((ROLE, role) for role in sorted(set(roles))))
        for place in ("", environment)
    )
