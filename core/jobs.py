"""Hands work to Celery: by name, with keyword arguments, after the commit."""

from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction


def enqueue(name: str, *, queue: str = "default", **arguments: Any) -> None:
    """Send task ``name`` once the running transaction is committed.

    Outside a transaction it is sent at once. A task is safe to run twice.
    """
    transaction.on_commit(
        partial(current_app.send_task, name, kwargs=arguments, queue=queue)
    )
