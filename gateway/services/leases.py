"""Keeps the leases of the runs this process holds, and hears of their cancelling."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, close_old_connections

from core.clock import now
from core.errors import TollgateError
from gateway.models import Run

logger = logging.getLogger(__name__)

_BEAT_SECONDS = 1.0
# How long what the database said of a run and its key may be relied on for a read.
_CLEAR_SECONDS = 0.02


class LeaseLost(TollgateError):
    """The run is no longer this worker's: nothing is sent or recorded."""

    code = "lease_lost"
    status = 409


@dataclass(slots=True)
class Lease:
    """One run's lease. ``cancelled`` is set when the run has to stop.

    ``until`` is on the monotonic clock, which goes on while the process is stopped.
    """

    epoch: int
    until: float
    cancelled: threading.Event = field(default_factory=threading.Event)
    clear_until: float = 0.0

    def seen_clear(self, at: float) -> None:
        """The database held run and key for good after that monotonic time."""
        self.clear_until = at + _CLEAR_SECONDS

    @property
    def is_clear(self) -> bool:
        """Whether a read may leave while its intent is being written."""
        return time.monotonic() < self.clear_until

    def check(self) -> None:
        """Raise LeaseLost when the lease has lapsed: somebody else may hold the run."""
        if time.monotonic() >= self.until or self.cancelled.is_set():
            raise LeaseLost(
                "The run is no longer held by this runner: nothing was sent."
            )


class Leases:
    """One heartbeat thread for all runs of a runner process."""

    def __init__(self) -> None:
        self._held: dict[int, Lease] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def held(self, run: Run, *, claimed: float) -> Iterator[Lease]:
        """Keep the lease of ``run``, claimed at that monotonic time."""
        lease = Lease(run.epoch, claimed + settings.RUN_LEASE_SECONDS)
        with self._lock:
            self._held[run.pk] = lease
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._beat, name="leases", daemon=True
                )
                self._thread.start()
        self._wake.set()
        try:
            yield lease
        finally:
            with self._lock:
                self._held.pop(run.pk, None)

    def _beat(self) -> None:
        while True:
            self._wake.wait()
            time.sleep(_BEAT_SECONDS)
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

    def _extend(self, held: dict[int, Lease]) -> None:
        close_old_connections()
        began = time.monotonic()
        at = now()
        until = at + timedelta(seconds=settings.RUN_LEASE_SECONDS)
        mine = Run.objects.filter(
            pk__in=held, status=Run.Status.RUNNING, lease_until__gt=at
        )
        rows = mine.values_list("pk", "epoch", "cancel_requested_at")
        asked = {pk: stop for pk, epoch, stop in rows if held[pk].epoch == epoch}
        # A lease that lapsed is not extended: the run may be somebody else's by now.
        mine.filter(pk__in=asked).update(lease_until=until)
        for pk, lease in held.items():
            if pk in asked:
                lease.until = began + settings.RUN_LEASE_SECONDS
            if asked.get(pk, at) is not None:
                lease.cancelled.set()
