"""Celery's side of costs: what happens by itself; each task calls one service."""

from celery import shared_task

from core.clock import now
from finops.services import billing


@shared_task(name="finops.build_statements")
def build_statements() -> None:
    """Build the drafts of months that are open."""
    billing.build_drafts(at=now())
