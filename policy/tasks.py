"""Celery's side of policy: what happens by itself; each task calls one service."""

from celery import shared_task

from core.clock import now
from policy.services import approvals, deliveries, quota_changes


@shared_task(name="policy.escalate_approvals")
def escalate_approvals() -> None:
    """Ask further people where nobody decided in time."""
    approvals.escalate_due(at=now())


@shared_task(name="policy.deliver_notifications")
def deliver_notifications(*, channel: int) -> None:
    """Send what is due through one channel."""
    deliveries.deliver(channel_id=channel, at=now())


@shared_task(name="policy.find_notifications")
def find_notifications() -> None:
    """Send what is due and whose task was lost, or has paused after a failure."""
    deliveries.deliver_due(at=now())


@shared_task(name="policy.forget_quota_history")
def forget_quota_history() -> None:
    """Drop past windows whose time is up."""
    quota_changes.forget_history(at=now())
