"""Seeds the demo: three teams, named people, keys, sample servers and grants.

``python -m deploy.demo.seed --server shop=URL --server ops=URL …`` may be run again on
existing data: it adds what is missing and leaves the rest alone.
"""

import argparse
import json
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402 - needs the app registry

from audit.actor import SYSTEM  # noqa: E402
from audit.formats import OCSF  # noqa: E402
from audit.models import Sink  # noqa: E402
from audit.services.sinks import Wanted, create_sink  # noqa: E402
from audit.sinks import FILE  # noqa: E402
from core.clock import now  # noqa: E402
from deploy.demo import models  # noqa: E402
from finops.services.prices import ensure_default_prices  # noqa: E402
from gateway.connectors.pool import UpstreamPool  # noqa: E402
from gateway.models import Server, Tool  # noqa: E402
from gateway.services import access, catalog, sync  # noqa: E402
from policy import documents, scopes  # noqa: E402
from policy.holders import TEAM, Holder  # noqa: E402
from policy.models import (  # noqa: E402
    ApiKey,
    ApproverGroup,
    Environment,
    NotificationChannel,
    PolicyVersion,
    Project,
    Quota,
    ServiceAccount,
    Team,
    User,
)
from policy.routing import Audience  # noqa: E402
from policy.services import (  # noqa: E402
    approver_groups,
    channels,
    drafts,
    keys,
    notify,
    teams,
)
from policy.services.quota_changes import Scope, set_quota  # noqa: E402

ENVIRONMENTS = (("dev", "Development"), ("staging", "Staging"), ("prod", "Production"))
DESCRIPTIONS = {
    "crm": "Customers, contacts and accounts",
    "shop": "Orders, invoices and refunds",
    "ops": "Tickets, usage logs and inventory",
}


@dataclass(frozen=True, slots=True)
class DemoTeam:
    """A team with its agents and what they may call."""

    slug: str
    name: str
    cost_centre: str
    project: tuple[str, str]
    agent: str
    servers: tuple[str, ...]


TEAMS = (
    DemoTeam(
        "platform", "Platform", "CC-100", ("assistant", "Company assistant"),
        "assistant", ("crm", "shop", "ops"),
    ),
    DemoTeam(
        "growth", "Growth", "CC-210", ("retention", "Customer retention"),
        "growth-agent", ("crm", "shop"),
    ),
    DemoTeam(
        "support", "Support", "CC-320", ("triage", "Ticket triage"),
        "triage-agent", ("crm", "ops"),
    ),
)  # fmt: skip
PEOPLE = (
    ("alice", "Alice", "Andersen", "admin", "platform"),
    ("bob", "Bob", "Baker", "member", "growth"),
    ("charlie", "Charlie", "Chen", "approver", "support"),
    ("dora", "Dora", "Diaz", "auditor", "platform"),
    ("erik", "Erik", "Engel", "finance", "platform"),
)


def main(arguments: Sequence[str]) -> int:
    """Seed, then write ``demo.json`` under the data directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", action="append", default=[], metavar="NAME=URL")
    options = parser.parse_args(arguments)
    urls = dict(word.split("=", 1) for word in options.server)
    at = now()
    ensure_default_prices(at=at)
    _places(at)
    users = _people(at)
    _servers(urls, at)
    if "models" in urls:
        models.offer(url=urls["models"], at=at)
    _approvals(at)
    _quotas(at)
    _rules(at)
    demo_keys = _keys(at)
    _sink(at)
    _write(users, demo_keys)
    return 0


def _sink(at: datetime) -> None:
    """A file beside the trail, which is really delivered to."""
    if not Sink.objects.exists():
        options = {"file": "audit.jsonl"}
        wanted = Wanted(name="archive", kind=FILE, form=OCSF, options=options)
        create_sink(wanted=wanted, actor=SYSTEM, at=at)


def _places(at: datetime) -> None:
    for position, (slug, name) in enumerate(ENVIRONMENTS):
        if not Environment.objects.filter(slug=slug).exists():
            teams.create_environment(
                slug=slug, name=name, position=position, actor=SYSTEM, at=at
            )
    for wanted in TEAMS:
        if Team.objects.filter(slug=wanted.slug).exists():
            continue
        team = teams.create_team(
            slug=wanted.slug,
            name=wanted.name,
            cost_centre=wanted.cost_centre,
            actor=SYSTEM,
            at=at,
        )
        slug, name = wanted.project
        teams.create_project(team=team, slug=slug, name=name, actor=SYSTEM, at=at)
        teams.create_service_account(
            team=team,
            name=wanted.agent,
            description=f"Agent of team {wanted.name}",
            actor=SYSTEM,
            at=at,
        )


def _quotas(at: datetime) -> None:
    """Nested limits with room for the demo's traffic; kept as they were changed."""
    if Quota.objects.exists():
        return
    support = Team.objects.get(slug="support")
    dev = Environment.objects.get(slug="dev")
    wanted = [
        (Scope(), Quota.Metric.TOKENS, Quota.Window.MONTH, 20_000_000),
        (Scope(), Quota.Metric.CONCURRENT, Quota.Window.AT_ONCE, 1_000),
        (Scope(environment=dev), Quota.Metric.CPU, Quota.Window.DAY, 36_000),
        (Scope(team=support), Quota.Metric.CALLS, Quota.Window.DAY, 5_000),
        (
            Scope(team=support, environment=dev, tool="crm.*"),
            Quota.Metric.CALLS,
            Quota.Window.HOUR,
            1_000,
        ),
    ]
    for team in Team.objects.order_by("pk"):
        scope = Scope(team=team)
        wanted.append((scope, Quota.Metric.RUNS, Quota.Window.HOUR, 20_000))
    for scope, metric, window, limit in wanted:
        set_quota(
            scope=scope,
            metric=metric,
            window=window,
            limit=limit,
            reason="the demo's limits",
            actor=SYSTEM,
            at=at,
        )


def _people(at: datetime) -> list[dict[str, str]]:
    """Users with the passwords of this installation; kept over restarts."""
    known = {user["username"]: user for user in _written().get("users", [])}
    users = []
    for username, first, last, role, team in PEOPLE:
        user = User.objects.filter(username=username).first()
        password = known.get(username, {}).get("password", "")
        if user is None:
            password = f"{username}-{secrets.token_urlsafe(9)}"
            user = teams.create_user(
                username=username,
                password=password,
                first_name=first,
                last_name=last,
                email=f"{username}@demo.invalid",
                actor=SYSTEM,
                at=at,
            )
            teams.add_member(
                team=Team.objects.get(slug=team),
                user=user,
                role=role,
                actor=SYSTEM,
                at=at,
            )
        users.append(
            {"username": username, "password": password, "role": role, "team": team}
        )
    return users


def _servers(urls: dict[str, str], at: datetime) -> None:
    pool = UpstreamPool()
    try:
        for name in DESCRIPTIONS:
            _server(name, urls.get(name, ""), pool, at)
    finally:
        pool.close()
    for team in TEAMS:
        access.give(
            subjects=Server.objects.filter(name__in=team.servers).order_by("name"),
            holders=[Holder(TEAM, team.slug)],
            reason="Sample servers of the demo",
            actor=SYSTEM,
            at=at,
        )


def _approvals(at: datetime) -> None:
    """A group that a rule may ask, and a webhook that is off for want of a receiver."""
    if not ApproverGroup.objects.filter(slug="refund-board").exists():
        approver_groups.create_group(
            slug="refund-board",
            name="Refund board",
            description="Refunds above 500",
            people=["erik", "charlie"],
            actor=SYSTEM,
            at=at,
        )
    if not NotificationChannel.objects.filter(name="Refund chat").exists():
        channels.create_channel(
            wanted=channels.Settings(
                name="Refund chat",
                kind="webhook",
                audience=Audience("group", "refund-board"),
                events=notify.ASKING,
                url="https://chat.example.org/hooks/tollgate",
                enabled=False,
            ),
            actor=SYSTEM,
            at=at,
        )


def _rules(at: datetime) -> None:
    """The demo's rules as version 1; kept as they were changed."""
    if PolicyVersion.objects.exists():
        return
    drafts.put_live(
        name="The demo's rules",
        rules=documents.read((Path(__file__).parent / "rules.yaml").read_text()),
        reason="The demo's rules",
        actor=SYSTEM,
        at=at,
    )


def _server(name: str, url: str, pool: UpstreamPool, at: datetime) -> None:
    command = [] if url else [sys.executable, "-m", f"deploy.demo.servers.{name}"]
    server = Server.objects.filter(name=name).first()
    if server is not None:
        if (server.url, server.command) != (url, command):
            catalog.change_server(
                server_id=server.pk, url=url, command=command, actor=SYSTEM, at=at
            )
        return
    server = catalog.add_server(
        name=name,
        transport="http" if url else "stdio",
        url=url,
        command=command,
        secrets={} if url else {"PYTHONPATH": str(settings.BASE_DIR)},
        description=DESCRIPTIONS[name],
        actor=SYSTEM,
        at=at,
    )
    report = sync.sync_server(server_id=server.pk, upstream=pool, actor=SYSTEM, at=at)
    if report.error:
        raise SystemExit(f"Sample server {name} could not be reached: {report.error}")
    ids = list(Tool.objects.filter(server=server).values_list("pk", flat=True))
    catalog.confirm_effects(tool_ids=ids, actor=SYSTEM, at=at)
    catalog.set_environments(
        tool_ids=ids, environments=["dev", "prod"], actor=SYSTEM, at=at
    )
    reads = Tool.objects.filter(pk__in=ids, effect="read").order_by("name")
    catalog.set_direct(tool_id=reads[0].pk, direct=True, actor=SYSTEM, at=at)


def _keys(at: datetime) -> dict[str, str]:
    """One key a team, made once; the text is only in ``demo.json``."""
    known: dict[str, str] = dict(_written().get("keys", {}))
    for wanted in TEAMS:
        account = ServiceAccount.objects.get(team__slug=wanted.slug, name=wanted.agent)
        prefix = known.get(wanted.slug, "")[:11]
        if ApiKey.objects.usable(at=at).filter(prefix=prefix).exists():
            continue
        made = keys.create_key(
            service_account=account,
            name="demo",
            environment=Environment.objects.get(slug="prod"),
            project=Project.objects.get(team=account.team, slug=wanted.project[0]),
            granted=(*scopes.DEFAULT, scopes.MODELS_USE),
            actor=SYSTEM,
            at=at,
        )
        known[wanted.slug] = made.text
    return known


def _path() -> Path:
    return Path(settings.DATA_DIR) / "demo.json"


def _written() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(_path().read_text())
    except FileNotFoundError:
        return {}
    return found


def _write(users: list[dict[str, str]], demo_keys: dict[str, str]) -> None:
    body = {
        "url": settings.PUBLIC_URL,
        "mcp_url": f"{settings.PUBLIC_URL}/mcp",
        "api_key": demo_keys["platform"],
        "users": users,
        "keys": demo_keys,
    }
    path = _path()
    path.touch(mode=0o600)
    path.write_text(json.dumps(body, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
