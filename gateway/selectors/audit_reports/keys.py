"""Report on keys: which of those in use are old, unused, broad, endless or orphaned."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse

from gateway.selectors.audit_reports import parts
from gateway.selectors.audit_reports.parts import (
    UNUSED_DAYS,
    Asked,
    Column,
    Figure,
    Filter,
    Found,
    InOrder,
    Report,
    Row,
    of_teams,
)
from policy import scopes
from policy.models import ApiKey, Membership, PersonalKey
from policy.models.identity import ApiKeyQuerySet

OLD_DAYS = 180
UNTRIED_DAYS = 30
MOST_KEYS = 20_000
# What lets a key change what others may do.
_ADMINISTERS = frozenset({scopes.POLICY_WRITE, scopes.ADMIN_KEYS, scopes.ADMIN_TEAMS})
_ALL_TOOLS = "tools:*"
# The gravest first: rows are in this order of weight.
FINDINGS = {
    "owner_gone": "Owner gone",
    "broad": "Broad scopes",
    "no_expiry": "No expiry",
    "unused": f"Unused for {UNUSED_DAYS} days",
    "never_used": "Never used",
    "old": f"Older than {OLD_DAYS} days",
    "all_tools": "Every tool of the team",
}
_WEIGHT = {name: 2 ** (len(FINDINGS) - at) for at, name in enumerate(FINDINGS)}
_KINDS = {"service": "Service account", "personal": "Person"}

_COLUMNS = (
    Column("key", "Key", parts.CODE, 1.2),
    Column("name", "Name", width=1.4),
    Column("owner", "Owner", width=1.6),
    Column("findings", "Findings", width=2.4),
    Column("scopes", "Scopes", parts.CODE, 2),
    Column("environment", "Environment", width=1.2),
    Column("created_at", "Created", parts.AT, 1.3),
    Column("created_by", "By", shown=False),
    Column("expires_at", "Expires", parts.AT, 1.3),
    Column("last_used_at", "Last used", parts.AT, 1.3),
    Column("kind", "Kind", shown=False),
    Column("team", "Team", shown=False),
)


@dataclass(frozen=True, slots=True)
class Held:
    """A key that can be used now, with what is to be said against it."""

    findings: tuple[str, ...]
    created_at: datetime
    row: Row

    @property
    def weight(self) -> int:
        return sum(_WEIGHT[one] for one in self.findings)


def keys(asked: Asked) -> Found:
    """Keys that can be used now, the gravest findings first; four queries."""
    everything = [*_service_keys(asked), *_personal_keys(asked)]
    counts = Counter(one for key in everything for one in key.findings)
    wanted = asked["finding"]
    held = [key for key in everything if not wanted or wanted in key.findings]
    held.sort(key=lambda key: (-key.weight, key.created_at))
    rows = [key.row for key in held]
    return Found(
        figures=[
            Figure("keys", "Keys in use", len(everything)),
            Figure("clean", "Without a finding",
                   sum(not key.findings for key in everything)),
            *(
                Figure(name, label, counts[name], query={"finding": name})
                for name, label in FINDINGS.items()
            ),
        ],
        listing=InOrder(
            lambda: len(rows), lambda start, stop: rows[start:stop], lambda: rows
        ),
        note=f"Only {MOST_KEYS:,} keys were looked at."
        if len(everything) >= MOST_KEYS
        else "",
    )  # fmt: skip


def _service_keys(asked: Asked) -> Iterator[Held]:
    if asked["kind"] == "personal":
        return
    found: ApiKeyQuerySet = ApiKey.objects.usable(at=asked.at)
    rows = of_teams(found, "service_account__team__slug", asked)
    if asked["environment"]:
        rows = rows.filter(environment__slug=asked["environment"])
    staffed = set(
        Membership.objects.filter(user__is_active=True).values_list(
            "team__slug", flat=True
        )
    )
    keys = rows.select_related("service_account__team", "environment").order_by("pk")
    for key in keys[:MOST_KEYS]:
        team = key.service_account.team.slug
        findings = _findings(
            key, granted=key.scopes, at=asked.at, owner_gone=team not in staffed
        )
        yield _held(
            key,
            findings,
            kind="service",
            owner=f"{team}/{key.service_account.name}",
            team=team,
            environment=key.environment.slug,
            granted=key.scopes,
            created_by=key.created_by,
            link=f"{reverse('access_reach')}?key={key.pk}",
        )


def _personal_keys(asked: Asked) -> Iterator[Held]:
    """Keys of people are of no team: only who sees all teams sees them."""
    narrowed = asked["team"] or asked["environment"] or asked["kind"] == "service"
    if asked.teams is not None or narrowed:
        return
    found = PersonalKey.objects.filter(revoked_at=None, expires_at__gt=asked.at)
    for key in found.select_related("user").order_by("pk")[:MOST_KEYS]:
        granted = ["approvals:decide"]
        gone = not key.user.is_active
        yield _held(
            key,
            _findings(key, granted=granted, at=asked.at, owner_gone=gone),
            kind="personal",
            owner=f"user:{key.user.username}",
            team="",
            environment="",
            granted=granted,
            created_by=key.user.get_full_name() or key.user.username,
        )


def _findings(
    key: ApiKey | PersonalKey, *, granted: Sequence[str], at: datetime, owner_gone: bool
) -> tuple[str, ...]:
    used, age = key.last_used_at, at - key.created_at
    wide = {one for one in granted if one.endswith(":*") and one != _ALL_TOOLS}
    said = {
        "owner_gone": owner_gone,
        "broad": bool(wide) or not _ADMINISTERS.isdisjoint(granted),
        "no_expiry": key.expires_at is None,
        "unused": used is not None and at - used > timedelta(days=UNUSED_DAYS),
        "never_used": used is None and age > timedelta(days=UNTRIED_DAYS),
        "old": age > timedelta(days=OLD_DAYS),
        "all_tools": _ALL_TOOLS in granted,
    }
    return tuple(name for name in FINDINGS if said[name])


def _held(
    key: ApiKey | PersonalKey,
    findings: tuple[str, ...],
    *,
    kind: str,
    owner: str,
    team: str,
    environment: str,
    granted: Sequence[str],
    created_by: str,
    link: str = "",
) -> Held:
    values = (
        key.prefix,
        key.name,
        owner,
        "; ".join(FINDINGS[one] for one in findings),
        " ".join(granted),
        environment,
        key.created_at,
        created_by,
        key.expires_at,
        key.last_used_at,
        _KINDS[kind],
        team,
    )
    return Held(findings, key.created_at, Row(values, {"key": link} if link else {}))


KEYS = Report(
    "keys",
    "Key hygiene",
    "Keys that can be used now, and what speaks against them: old, unused, broad, "
    "without an end, without an owner.",
    _COLUMNS,
    (
        Filter("team", "Team", hint="sales"),
        Filter("environment", "Environment", hint="prod"),
        Filter("finding", "Finding", choices=lambda: list(FINDINGS.items())),
        Filter("kind", "Kind", choices=lambda: list(_KINDS.items())),
    ),
    keys,
    nothing="No key that can be used now is left by these filters.",
    about=f"Never used counts from {UNTRIED_DAYS} days on; last used is noted once a "
    "minute at most.",
    dated=False,
)
