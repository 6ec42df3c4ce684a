"""Hands work to Celery: by name, with keyword arguments, after the commit."""

import logging
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def enqueue(
    name: str, *, queue: str = "default", swept: bool = False, **arguments: Any
) -> None:
    """Send task ``name`` once the running transaction is committed.

    Outside a transaction it is sent at once. A task is safe to run twice. With
    ``swept`` something looks for work whose message was lost: then a broker that is
    away is no error. Else raises kombu's OperationalError, after the commit.
    """
    transaction.on_commit(partial(_send, name, queue, arguments, swept))


def _send(name: str, queue: str, arguments: dict[str, Any], swept: bool) -> None:
    try:
        current_app.send_task(name, kwargs=arguments, queue=queue)
    except OperationalError:
        if not swept:
            raise
        logger.warning("%s is not queued, since the broker is away: it is swept", name)
