"""Scopes: what a key may use at all.

Grammar: ``area:name``, where a name is dotted and may end in ``*`` as its last part:
``tools:*``, ``tools:crm.*``, ``tools:crm.list_orders``, ``runs:execute``.
"""

import re
from collections.abc import Iterable

from core.errors import Invalid

CATALOG_READ = "catalog:read"
RUNS_EXECUTE = "runs:execute"
RUNS_READ = "runs:read"
AUDIT_READ = "audit:read"
COSTS_READ = "costs:read"
COSTS_WRITE = "costs:write"
MODELS_USE = "models:use"
POLICY_READ = "policy:read"
POLICY_WRITE = "policy:write"
ADMIN_TEAMS = "admin:teams"
ADMIN_KEYS = "admin:keys"
# Of people alone: no key of a service account can be given it.
APPROVALS_DECIDE = "approvals:decide"
EXPLAINED = (
    ("tools:*", "Call every tool that is granted to the team"),
    (RUNS_EXECUTE, "Execute scripts"),
    (RUNS_READ, "Read runs and their results"),
    (CATALOG_READ, "Search the catalog and read signatures"),
    (COSTS_READ, "Read the team's costs through the REST API"),
    (COSTS_WRITE, "Report model usage of the team's work; price its usage anew"),
    (MODELS_USE, "Ask models through Tollgate, at /v1/chat/completions"),
    (AUDIT_READ, "Read the team's audit events through the REST API"),
    (POLICY_READ, "Read rules, their versions and quotas; ask why a call is denied"),
    (POLICY_WRITE, "Draft and propose rules; set the team's quotas"),
    (ADMIN_TEAMS, "Read the team through the REST API"),
    (ADMIN_KEYS, "Create and revoke the team's keys through the REST API"),
)
DEFAULT = ("tools:*", RUNS_EXECUTE, RUNS_READ, CATALOG_READ)
AREAS = ("tools", "runs", "catalog", "audit", "costs", "models", "policy", "admin")

_SCOPE = re.compile(
    r"^(?P<area>[a-z]+):(?P<name>\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$"
)


def parse(text: str) -> tuple[str, ...]:
    """Scopes from words separated by commas or spaces. Raises Invalid."""
    found = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for scope in found:
        match = _SCOPE.match(scope)
        if not match or match["area"] not in AREAS:
            raise Invalid(
                f"{scope!r} is no scope: write area:name, such as tools:crm.* or "
                f"runs:execute; areas are {', '.join(AREAS)}."
            )
    return found


def covers(scopes: Iterable[str], needed: str) -> bool:
    """Whether one of ``scopes`` includes ``needed`` (itself without a wildcard)."""
    return any(
        scope == needed
        or (scope.endswith("*") and needed.startswith(scope.removesuffix("*")))
        for scope in scopes
    )
