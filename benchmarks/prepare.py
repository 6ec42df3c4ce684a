"""Puts a team, a key and the server of trivial tools into an empty installation.

    python -m benchmarks.prepare URL

Prints two keys, the second one for runs at level team. One tool is also listed for
direct calls.
"""

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from audit.actor import SYSTEM  # noqa: E402 - needs the app registry
from core.clock import now  # noqa: E402
from finops.services.prices import ensure_default_prices  # noqa: E402
from gateway.connectors.pool import UpstreamPool  # noqa: E402
from gateway.models import Tool  # noqa: E402
from gateway.services import access, catalog, sync  # noqa: E402
from policy import scopes  # noqa: E402
from policy.holders import TEAM, Holder  # noqa: E402
from policy.models import Environment, Project, ServiceAccount  # noqa: E402
from policy.sandbox import TEAM as LEVEL_TEAM  # noqa: E402
from policy.services import keys, quota_changes, sandbox, teams  # noqa: E402
from policy.services.quota_changes import Scope  # noqa: E402

DIRECT_TOOL = "add"


def main(url: str) -> None:
    """Seed and print the key."""
    at = now()
    ensure_default_prices(at=at)
    environment = teams.create_environment(
        slug="dev", name="Development", position=0, actor=SYSTEM, at=at
    )
    team = teams.create_team(
        slug="bench", name="Bench", cost_centre="CC-1", actor=SYSTEM, at=at
    )
    # As in the demo: a quota of runs is taken on the measured path.
    quota_changes.set_quota(
        scope=Scope(team=team),
        metric="runs",
        window="day",
        limit=10**7,
        reason="as in the demo",
        actor=SYSTEM,
        at=at,
    )
    project = teams.create_project(
        team=team, slug="bench", name="Bench", actor=SYSTEM, at=at
    )
    account = teams.create_service_account(
        team=team, name="bench", description="", actor=SYSTEM, at=at
    )
    server = catalog.add_server(
        name="trivial", transport="http", url=url, actor=SYSTEM, at=at
    )
    pool = UpstreamPool()
    try:
        report = sync.sync_server(
            server_id=server.pk, upstream=pool, actor=SYSTEM, at=at
        )
    finally:
        pool.close()
    if report.error:
        raise SystemExit(report.error)
    ids = list(Tool.objects.filter(server=server).values_list("pk", flat=True))
    catalog.confirm_effects(tool_ids=ids, actor=SYSTEM, at=at)
    catalog.set_environments(tool_ids=ids, environments=["dev"], actor=SYSTEM, at=at)
    direct = Tool.objects.get(server=server, name=DIRECT_TOOL)
    catalog.set_direct(tool_id=direct.pk, direct=True, actor=SYSTEM, at=at)
    bench = [Holder(TEAM, team.slug)]
    access.give(subjects=[server], holders=bench, reason="bench", actor=SYSTEM, at=at)
    print(*_keys(account, environment, project))


def _keys(
    account: ServiceAccount, environment: Environment, project: Project
) -> list[str]:
    at = now()
    made = [
        keys.create_key(
            service_account=account,
            name=name,
            environment=environment,
            project=project,
            granted=scopes.DEFAULT,
            actor=SYSTEM,
            at=at,
        )
        for name in ("bench", "bench-team")
    ]
    scope = sandbox.Scope(key=made[1].key)
    sandbox.set_sandbox_policy(
        scope=scope,
        level=LEVEL_TEAM,
        limits={},
        reason="benchmark",
        actor=SYSTEM,
        at=at,
    )
    return [one.text for one in made]


if __name__ == "__main__":
    main(sys.argv[1])
