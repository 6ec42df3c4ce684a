"""Celery's side of policy: what happens by itself; each task calls one service."""

from celery import shared_task

from core.clock import now
from policy.services import approvals


@shared_task(name="policy.escalate_approvals")
def escalate_approvals() -> None:
    """Ask further people where nobody decided in time."""
    approvals.escalate_due(at=now())
