"""Who has to approve a call: a role or a named group, how many, and until when."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import Invalid

APPROVER = "approver"
FINANCE = "finance"
ADMIN = "admin"
# Members ask for calls and auditors watch over decisions: neither decides by role.
# Anybody may be named in a group.
ROLES = (APPROVER, FINANCE, ADMIN)
MOST_QUORUM = 20
LEAST_SECONDS, MOST_SECONDS = 60, 90 * 86_400

_GROUP = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_KEYS = (
    "role",
    "group",
    "quorum",
    "expires_seconds",
    "escalate_after_seconds",
    "escalate_to",
)


@dataclass(frozen=True, slots=True)
class Audience:
    """People by what they hold: ``kind`` is ``role`` or ``group``.

    ``approver`` means the approvers of the call's own team, and administrators;
    ``finance`` and ``admin`` mean whoever holds that role anywhere.
    """

    kind: str
    name: str

    @classmethod
    def parse(cls, raw: object, *, where: str = "") -> "Audience":
        """From ``{role: …}`` or ``{group: …}``. Raises Invalid."""
        place = f"{where}: " if where else ""
        if not isinstance(raw, Mapping):
            raise Invalid(f"{place}write {{role: …}} or {{group: …}}.")
        if unknown := sorted(str(key) for key in raw if key not in {"role", "group"}):
            raise Invalid(f"{place}{unknown[0]} is not known here: use role or group.")
        return _audience(raw, place)

    def as_dict(self) -> dict[str, str]:
        return {self.kind: self.name}

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Route:
    """One demand for an approval: ``quorum`` distinct people of ``to`` have to agree.

    Without ``expires_seconds`` the installation's setting holds. Where nobody has
    decided after ``escalate_after_seconds``, the people of ``escalate_to`` may decide
    as well. ``rule``, ``rule_version`` and ``because`` say who asked for it; they are
    set by ``asked_by`` and are no part of the written form.
    """

    to: Audience
    quorum: int = 1
    expires_seconds: int | None = None
    escalate_after_seconds: int | None = None
    escalate_to: Audience | None = None
    rule: str = ""
    rule_version: str = ""
    because: str = ""

    @classmethod
    def parse(cls, raw: object) -> "Route":
        """From a rule's ``approve``. Raises Invalid, which names the field."""
        if not isinstance(raw, Mapping):
            raise Invalid("approve: write {role: …} or {group: …}, and the rest.")
        if unknown := sorted(str(key) for key in raw if key not in _KEYS):
            raise Invalid(
                f"approve.{unknown[0]}: there is no such field; use {', '.join(_KEYS)}."
            )
        to = _audience(raw, "approve: ")
        quorum = _whole(raw, "quorum", 1, MOST_QUORUM)
        expires = _whole(raw, "expires_seconds", LEAST_SECONDS, MOST_SECONDS)
        after = _whole(raw, "escalate_after_seconds", LEAST_SECONDS, MOST_SECONDS)
        further = raw.get("escalate_to")
        if (after is None) != (further is None):
            raise Invalid(
                "approve: escalate_after_seconds and escalate_to go together: give "
                "both or neither."
            )
        if after and expires and after >= expires:
            raise Invalid(
                "approve.escalate_after_seconds: choose less than expires_seconds, or "
                "nobody is left the time to decide."
            )
        escalate_to = (
            None
            if further is None
            else Audience.parse(further, where="approve.escalate_to")
        )
        if escalate_to == to:
            raise Invalid("approve.escalate_to: these people are asked already.")
        return cls(to, quorum or 1, expires, after, escalate_to)

    def as_dict(self) -> dict[str, Any]:
        """The written form: what ``parse`` reads gives the same route again."""
        shown: dict[str, Any] = {**self.to.as_dict(), "quorum": self.quorum}
        if self.expires_seconds is not None:
            shown["expires_seconds"] = self.expires_seconds
        if self.escalate_to is not None:
            shown["escalate_after_seconds"] = self.escalate_after_seconds
            shown["escalate_to"] = self.escalate_to.as_dict()
        return shown

    def asked_by(self, rule: str, *, version: str, because: str) -> "Route":
        """The same demand with the rule that makes it and what the rule says."""
        return replace(self, rule=rule, rule_version=version, because=because)

    @property
    def groups(self) -> frozenset[str]:
        """Names of the groups that it needs to exist."""
        audiences = (self.to, self.escalate_to)
        return frozenset(one.name for one in audiences if one and one.kind == "group")


DEFAULT = Route(Audience("role", APPROVER))
"""The approvers of the call's team, or an administrator."""


def digest_of(routes: Sequence[Route]) -> str:
    """What asks for an approval, as one text; "" for the default route alone.

    It differs as soon as a rule, its version or its demand does.
    """
    if [replace(route, because="") for route in routes] == [DEFAULT]:
        return ""
    asked = [[one.rule, one.rule_version, one.as_dict()] for one in routes]
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _audience(raw: Mapping[Any, Any], place: str) -> Audience:
    role, group = raw.get("role"), raw.get("group")
    if (role is None) == (group is None):
        raise Invalid(f"{place}give one of role and group.")
    if role is not None:
        if role not in ROLES:
            raise Invalid(
                f"{place}role {role!r} decides nothing: use {', '.join(ROLES)}, or "
                "name people in an approver group."
            )
        return Audience("role", str(role))
    if not isinstance(group, str) or not _GROUP.match(group):
        raise Invalid(
            f"{place}group {group!r} is no name of a group: use small letters, digits "
            "and dashes, up to 40."
        )
    return Audience("group", group)


def _whole(raw: Mapping[Any, Any], name: str, least: int, most: int) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(f"approve.{name}: give a whole number, not {value!r}.")
    if not least <= value <= most:
        raise Invalid(f"approve.{name}: choose a number from {least} to {most:,}.")
    return value
