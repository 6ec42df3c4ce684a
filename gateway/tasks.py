"""Celery's side of runs and catalog; each task calls one service."""

import logging

from celery import shared_task
from celery.signals import worker_process_shutdown, worker_ready, worker_shutdown

from audit.actor import Actor
from core.clock import now
from gateway import heartbeat, runtime
from gateway.codemode import tokens
from gateway.models import Server
from gateway.sandbox.errors import SandboxUnavailable
from gateway.services import (
    execute,
    model_calls,
    policy_replay,
    retention,
    sweep,
    sync,
    tool_uses,
)
from gateway.services.leases import Leases

logger = logging.getLogger(__name__)

_leases = Leases()


@shared_task(name="gateway.execute_run")
def execute_run(*, run: str) -> None:
    """Execute one queued run."""
    execute.execute(
        uid=run,
        runner=runtime.runner_name(),
        leases=_leases,
        sandboxes=runtime.provider,
        upstream=runtime.upstream(),
    )


@shared_task(name="gateway.sync_server")
def sync_server(*, server_id: int, actor: dict[str, str]) -> None:
    """Ask a server for its tools; runs where the connections are."""
    sync.sync_server(
        server_id=server_id,
        upstream=runtime.upstream(),
        actor=Actor(**actor),
        at=now(),
    )


@shared_task(name="gateway.sweep_runs")
def sweep_runs() -> None:
    """End or queue again what nobody works on."""
    sweep.sweep(at=now())
    heartbeat.beat("sweep", at=now())


@shared_task(name="gateway.replay_policy")
def replay_policy(*, replay: str) -> None:
    """Decide anew on recorded calls by a draft's rules."""
    policy_replay.perform(uid=replay)


@shared_task(name="gateway.forget_results")
def forget_results() -> None:
    """Drop results whose time is up."""
    retention.forget_results(at=now())


@shared_task(name="gateway.note_uses")
def note_uses() -> None:
    """Keep when each tool was last called."""
    tool_uses.note_uses(at=now())


@shared_task(name="gateway.check_servers")
def check_servers() -> None:
    """Ping every active server, and report this runner's sandboxes."""
    active = Server.objects.filter(status=Server.Status.ACTIVE).order_by("pk")
    for pk in active.values_list("pk", flat=True):
        sync.check_server(server_id=pk, upstream=runtime.upstream(), at=now())
    heartbeat.beat("check-servers", at=now())
    _report()


def _report() -> None:
    name = f"runner:{runtime.runner_name()}"
    heartbeat.beat(name, at=now(), state=runtime.sandboxes())


def _warm(sender: object, **_: object) -> None:
    """Boot sandboxes before the first run arrives, where this worker takes runs."""
    queues = getattr(getattr(sender, "app", None), "amqp", None)
    if queues is not None and "runs" in queues.queues.consume_from:
        tokens.count("read the vocabulary before the first run needs it")
        try:
            runtime.provider()
        except SandboxUnavailable as error:
            logger.warning("scripts cannot be executed here: %s", error)
        _report()


def _close(**_: object) -> None:
    runtime.close()


worker_ready.connect(_warm)
worker_shutdown.connect(_close)
worker_process_shutdown.connect(_close)


@shared_task(name="gateway.settle_lost_model_calls")
def settle_lost_model_calls() -> None:
    """End requests to models whose process died."""
    model_calls.settle_lost(at=now())
