"""Celery's side of the trail: what happens by itself; each task calls one service."""

from celery import shared_task

from audit.services import partitions


@shared_task(name="audit.make_partitions")
def make_partitions() -> None:
    """Keep the months to come ready."""
    partitions.make_ahead()
