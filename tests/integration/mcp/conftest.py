"""Two teams with keys of every kind, and servers of which each team sees a part."""

import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from pytest_django.plugin import DjangoDbBlocker

from core.clock import now
from deploy.supervisor import tollgate_commands
from finops.services.prices import ensure_default_prices
from gateway.connectors.pool import UpstreamPool
from gateway.models import Server, Tool
from gateway.services import catalog, sync
from gateway.services.cancel import cancel
from policy.models import Approval, Membership, Team
from tests.builders.catalog import make_grant
from tests.builders.identity import (
    ACTOR,
    AT,
    make_account,
    make_environment,
    make_key,
    make_personal_key,
    make_team,
    make_user,
)
from tests.integration.mcp.tasks import gated, held
from tests.integration.mcp.world import People, World
from tests.stack import ROOT, Stack, folder, running

READ_ONLY = ("tools:*", "catalog:read", "runs:read")


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
        make_grant(team, server)
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


@pytest.fixture(scope="package")
def people(world: World) -> People:
    roles = Membership.Role
    with world.stack.database():
        sales, support = make_team("sales"), make_team("support")
        made = [
            make_personal_key(make_user(name, (team, role))).text
            for name, team, role in (
                ("bob", sales, roles.APPROVER),
                ("ann", sales, roles.APPROVER),
                ("alice", sales, roles.MEMBER),
                ("mallory", support, roles.APPROVER),
            )
        ]
    return People(*made)


@pytest.fixture(scope="module")
def two_runners(world: World) -> Iterator[Stack]:
    """The stack with a second runner, whose sandboxes are in a folder of its own."""
    stack = world.stack
    with folder("runner2") as other:
        command = list(tollgate_commands(other, stack.port)["runner"])
        command[command.index("runner@%h")] = "second@%h"
        log = stack.data_dir / "log" / "second.log"
        # Another module may have had one, whose log it goes on with.
        said = log.stat().st_size if log.exists() else 0
        stack.spawn("second", ["env", f"TOLLGATE_DATA_DIR={other}", *command])
        stack.wait_for(lambda: b" ready." in log.read_bytes()[said:], "second runner")
        yield stack
        stack.kill("second")


@pytest.fixture
def asked(world: World) -> Iterator[Approval]:
    """What a run of the sales agent waits for; the run is cancelled at the end."""
    uid = world.stack.execute(world.sales, gated(world), wait=0)["run"]
    yield held(world, uid)
    with world.stack.database():
        cancel(uid=uid, actor=ACTOR, at=now())
