"""Celery's side of the trail: what happens by itself; each task calls one service."""

from celery import shared_task

from audit.actor import SYSTEM
from audit.services import partitions, verification
from core.clock import now


@shared_task(name="audit.make_partitions")
def make_partitions() -> None:
    """Keep the months to come ready."""
    partitions.make_ahead()


@shared_task(name="audit.verify")
def verify(*, whole: bool = False) -> None:
    """Verify the trail, wholly or since the last time, and keep what was found."""
    basis, at = verification.basis(), now()
    look = verification.verify_whole if whole else verification.verify_since_last
    report = look(basis, at=at)
    verification.keep(report, actor=SYSTEM, at=now(), recorded=whole)
