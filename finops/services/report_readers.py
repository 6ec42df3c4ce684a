"""What each address of a report may be sent: by the rights of owner and reader."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models.functions import Lower

from audit.web import Rights
from policy.access import COSTS_ADMIN, COSTS_READ, Access, access_of
from policy.models import User

Teams = frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Narrowed:
    """An owner's rights, cut to the ``teams`` that a reader sees too (None: all)."""

    owner: Rights
    teams: Teams

    def may(self, capability: str) -> bool:
        return self.owner.may(capability)

    def teams_for(self, capability: str) -> Teams:
        return _both(self.owner.teams_for(capability), self.teams)


def readers(addresses: Iterable[str], owner: Access) -> dict[str, Narrowed]:
    """The addresses that may get something, each with what it may be shown.

    Who has an account gets no more than they could open: nothing once they may not see
    costs. An address of nobody here is the word of finance, as long as the owner is.
    """
    people: dict[str, list[Access]] = {}
    wanted = {address.lower() for address in addresses}
    found = User.objects.annotate(address=Lower("email")).filter(address__in=wanted)
    for user in found.order_by("pk"):
        people.setdefault(user.email.lower(), []).append(access_of(user))
    allowed = {}
    for address in addresses:
        known = people.get(address.lower())
        if known is None:
            if owner.may(COSTS_ADMIN):
                allowed[address] = Narrowed(owner, None)
            continue
        for reader in known:
            seen = Narrowed(owner, reader.teams_for(COSTS_READ))
            if reader.may(COSTS_READ) and seen.teams_for(COSTS_READ) != frozenset():
                allowed[address] = seen
                break
    return allowed


def _both(one: Teams, other: Teams) -> Teams:
    if one is None or other is None:
        return other if one is None else one
    return one & other
