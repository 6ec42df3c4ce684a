"""Keeps the leases of the runs this process holds, and hears of their cancelling."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from core.clock import now
from gateway.models import Run

logger = logging.getLogger(__name__)

_BEAT_SECONDS = 1.0


class Leases:
    """One heartbeat thread for all runs of a runner process."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[int, threading.Event]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, run: Run) -> Iterator[threading.Event]:
        """Keep the lease of ``run``; the event is set when it has to stop."""
        cancelled = threading.Event()
        with self._lock:
            self._held[run.pk] = (run.epoch, cancelled)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._beat, name="leases", daemon=True
                )
                self._thread.start()
        self._wake.set()
        try:
            yield cancelled
        finally:
            with self._lock:
                self._held.pop(run.pk, None)

    def _beat(self) -> None:
        while True:
            self._wake.wait()
            threading.Event().wait(_BEAT_SECONDS)
            with self._lock:
                held = dict(self._held)
                if not held:
                    self._wake.clear()
                    continue
            try:
                self._extend(held)
            except DatabaseError:
                logger.warning("leases could not be extended; trying again")
                close_old_connections()

    def _extend(self, held: dict[int, tuple[int, threading.Event]]) -> None:
        close_old_connections()
        until = now() + timedelta(seconds=settings.RUN_LEASE_SECONDS)
        rows = Run.objects.filter(pk__in=held, status=Run.Status.RUNNING).values_list(
            "pk", "epoch", "cancel_requested_at"
        )
        mine = {pk: asked for pk, epoch, asked in rows if held[pk][0] == epoch}
        Run.objects.filter(pk__in=mine).update(lease_until=until)
        for pk, (_, event) in held.items():
            if pk not in mine or mine[pk] is not None:
                event.set()
