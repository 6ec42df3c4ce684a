"""Two teams with keys of every kind, and servers of which each team sees a part."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from pytest_django.plugin import DjangoDbBlocker

from core.clock import now
from finops.services.prices import ensure_default_prices
from gateway.connectors.pool import UpstreamPool
from gateway.models import Server, Tool
from gateway.services import access, catalog, sync
from policy.models import Team
from tests.builders.identity import (
    ACTOR,
    AT,
    make_account,
    make_environment,
    make_key,
    make_team,
)
from tests.stack import ROOT, Stack, running

READ_ONLY = ("tools:*", "catalog:read", "runs:read")


@dataclass(frozen=True, slots=True)
class World:
    """The texts of the keys. Sales may call all servers, support only ``trivial``.

    Each call of ``crm.add_customer_tag`` needs an approval.
    """

    stack: Stack
    sales: str
    support: str
    read_only: str
    expired: str
    nothing: str


def add(
    name: str,
    pool: UpstreamPool,
    *teams: Team,
    url: str = "",
    command: Sequence[str] = (),
) -> Server:
    """A server that is synced, reviewed, offered in dev and granted."""
    server = catalog.add_server(
        name=name,
        transport="http" if url else "stdio",
        url=url,
        command=command,
        secrets={} if url else {"PYTHONPATH": str(ROOT)},
        actor=ACTOR,
        at=now(),
    )
    report = sync.sync_server(server_id=server.pk, upstream=pool, actor=ACTOR, at=now())
    assert not report.error
    ids = list(Tool.objects.filter(server=server).values_list("pk", flat=True))
    catalog.confirm_effects(tool_ids=ids, actor=ACTOR, at=now())
    catalog.set_environments(tool_ids=ids, environments=["dev"], actor=ACTOR, at=now())
    for team in teams:
        access.grant_server(team=team, server=server, actor=ACTOR, at=now())
    return server


@pytest.fixture(scope="package")
def stack(django_db_blocker: DjangoDbBlocker) -> Iterator[Stack]:
    """A stack for the tests of this folder."""
    with running(django_db_blocker) as made:
        yield made


@pytest.fixture(scope="package")
def world(stack: Stack) -> World:
    """The stack with its rows."""
    urls = {name: stack.sample_server(name) for name in ("shop", "crm")}
    with stack.database():
        ensure_default_prices(at=AT)
        make_environment("dev")
        sales, support = make_team("sales"), make_team("support")
        pool = UpstreamPool()
        try:
            module = [sys.executable, "-m", "deploy.demo.servers.trivial"]
            trivial = add("trivial", pool, sales, support, command=module)
            for name, url in urls.items():
                add(name, pool, sales, url=url)
        finally:
            pool.close()
        direct = Tool.objects.get(server=trivial, name="add")
        catalog.set_direct(tool_id=direct.pk, direct=True, actor=ACTOR, at=now())
        gated = Tool.objects.get(server__name="crm", name="add_customer_tag")
        catalog.set_approval(tool_id=gated.pk, needed=True, actor=ACTOR, at=now())
        agent = make_account(sales)
        long_ago = now() - timedelta(days=2)
        expired = make_key(agent, at=long_ago, expires_at=long_ago + timedelta(days=1))
        return World(
            stack=stack,
            sales=make_key(agent).text,
            support=make_key(make_account(support)).text,
            read_only=make_key(agent, scopes=READ_ONLY).text,
            expired=expired.text,
            nothing=make_key(agent, scopes=["tools:trivial.add"]).text,
        )
