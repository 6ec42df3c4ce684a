"""A real tool server in the catalog, granted to a team, and runs that hold a lease."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from core.clock import now
from gateway.catalog import forget, usable_by
from gateway.connectors.pool import UpstreamPool
from gateway.models import Run, Server, Tool
from gateway.services import catalog, runs, sweep, sync
from gateway.services.execute import claim
from gateway.services.holder import Holder
from gateway.services.leases import Lease
from gateway.services.lookup import Upstream
from gateway.services.replay import Replay
from policy.principal import Principal
from policy.services.keys import principal_of
from tests.builders.catalog import make_grant
from tests.builders.identity import ACTOR, make_account, make_environment, make_key
from tests.integration.connectors.conftest import free_port, http_server

Hold = Callable[[Principal], Holder]


@pytest.fixture(autouse=True)
def _fresh_catalog() -> None:
    # Tests roll back, so that one revision number can name two catalogs.
    forget()


@pytest.fixture(scope="session")
def upstream() -> Iterator[UpstreamPool]:
    """Connections that outlive single tests."""
    pool = UpstreamPool()
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def trivial_url() -> Iterator[str]:
    """The server of ten trivial tools, over HTTP.

    Each test has a row of its own for it: over stdio, each would start a process.
    """
    with http_server("deploy.demo.servers.trivial", free_port(), "--port") as spec:
        yield spec.url


def add_trivial(url: str) -> Server:
    """A draft of the server of trivial tools."""
    return catalog.add_server(
        name="trivial", transport="http", url=url, actor=ACTOR, at=now()
    )


def open_up(server: Server, upstream: UpstreamPool, *environments: str) -> None:
    """Sync a server, confirm every proposed effect and offer every tool."""
    for slug in environments:
        make_environment(slug)
    report = sync.sync_server(
        server_id=server.pk, upstream=upstream, actor=ACTOR, at=now()
    )
    assert not report.error
    ids = list(Tool.objects.filter(server=server).values_list("pk", flat=True))
    catalog.confirm_effects(tool_ids=ids, actor=ACTOR, at=now())
    catalog.set_environments(
        tool_ids=ids, environments=environments, actor=ACTOR, at=now()
    )


@pytest.fixture
def trivial(db: None, trivial_url: str, upstream: UpstreamPool) -> Server:
    """The server of ten trivial tools, offered in dev to nobody yet."""
    server = add_trivial(trivial_url)
    open_up(server, upstream, "dev")
    server.refresh_from_db()
    return server


@pytest.fixture
def agent(trivial: Server) -> Principal:
    """A key's principal in dev whose team holds a grant on ``trivial``."""
    account = make_account()
    make_grant(account.team, trivial)
    return principal_of(make_key(account).key)


@pytest.fixture
def hold(upstream: UpstreamPool) -> Hold:
    """Submit and claim a run, as a runner does before it executes the script."""

    def make(principal: Principal) -> Holder:
        run = runs.submit(principal=principal, code="return 1", at=now())
        claimed = claim(uid=run.uid, runner="test", at=now())
        assert claimed is not None
        return Holder(
            run_id=claimed.pk,
            run=claimed.uid,
            epoch=claimed.epoch,
            principal=principal,
            submitted_by=claimed.submitted_by,
            usable=usable_by(principal),
            upstream=upstream,
            replay=Replay.of(()),
            lease=Lease(claimed.epoch, time.monotonic() + 30),
        )

    return make


def held_again(holder: Holder, upstream: Upstream | None = None) -> Holder:
    """The same run as the next worker claims it, after its runner was lost."""
    run = Run.objects.get(pk=holder.run_id)
    if run.status == Run.Status.RUNNING:
        lapse(holder)
        sweep.sweep(at=now())
    claimed = claim(uid=run.uid, runner="next", at=now())
    assert claimed is not None
    return replace(
        holder,
        epoch=claimed.epoch,
        usable=usable_by(holder.principal),
        upstream=upstream or holder.upstream,
        replay=Replay.of(claimed.calls.all()),
        lease=Lease(claimed.epoch, time.monotonic() + 30),
    )


def lapse(holder: Holder) -> None:
    """Let the lease of a held run lie in the past."""
    Run.objects.filter(pk=holder.run_id).update(
        lease_until=now() - timedelta(seconds=1)
    )
