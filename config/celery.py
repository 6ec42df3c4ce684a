"""The Celery application: broker Redis, queues ``runs`` and ``default``."""

import os

from celery import Celery
from celery.signals import task_prerun
from django.db import close_old_connections

from config import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

broker.install()
app = Celery("tollgate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _check_connections(**_: object) -> None:
    """Let go of a database connection that broke since this thread's last task."""
    close_old_connections()


task_prerun.connect(_check_connections)
