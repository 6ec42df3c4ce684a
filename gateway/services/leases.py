"""Keeps the leases of the runs this process holds, and hears of their cancelling."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from core.clock import now
from core.errors import TollgateError
from gateway.models import Run

logger = logging.getLogger(__name__)

MOST_CLAIMS = 10
_BEAT_SECONDS = 1.0
# A lease that lapsed is not extended: the run may be somebody else's by now.
_RENEW = """
UPDATE gateway_run r SET lease_until = %s
FROM unnest(%s::bigint[], %s::integer[]) AS held (id, epoch)
WHERE r.id = held.id AND r.epoch = held.epoch AND r.status = 'running'
  AND r.lease_until > %s
RETURNING r.id, r.cancel_requested_at
"""
# How long what the database said of a run and its key may be relied on for a read.
_CLEAR_SECONDS = 0.02


class LeaseLost(TollgateError):
    """The run is no longer this worker's: nothing is sent or recorded."""

    code = "lease_lost"
    status = 409


class Cancelled(TollgateError):
    """Somebody asked for the run to be cancelled."""

    code = "cancelled"
    status = 409


@dataclass(slots=True)
class Lease:
    """One run's lease. ``cancelled`` is set when the run has to stop.

    ``lost``: it has to stop since the lease has lapsed, not because somebody asked.
    ``until`` is on the monotonic clock, which goes on while the process is stopped.
    """

    epoch: int
    until: float
    cancelled: threading.Event = field(default_factory=threading.Event)
    lost: bool = False
    clear_until: float = 0.0

    def seen_clear(self, at: float) -> None:
        """The database held run and key for good after that monotonic time."""
        self.clear_until = at + _CLEAR_SECONDS

    @property
    def is_clear(self) -> bool:
        """Whether a read may leave while its intent is being written."""
        return time.monotonic() < self.clear_until

    def check(self) -> None:
        """Raise LeaseLost when somebody else may hold the run, or Cancelled."""
        if self.lost or time.monotonic() >= self.until:
            raise LeaseLost(
                "The run is no longer held by this runner: nothing was sent."
            )
        if self.cancelled.is_set():
            raise Cancelled("The run was cancelled.")


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
            try:
                close_old_connections()
                self.renew()
            except DatabaseError:
                logger.warning("leases could not be extended; trying again")
                close_old_connections()

    def renew(self) -> None:
        """Extend every lease that is held here, and hear which runs have to stop."""
        with self._lock:
            held = dict(self._held)
            if not held:
                self._wake.clear()
                return
        began = time.monotonic()
        at = now()
        until = at + timedelta(seconds=settings.RUN_LEASE_SECONDS)
        epochs = [lease.epoch for lease in held.values()]
        with connection.cursor() as cursor:
            cursor.execute(_RENEW, [until, list(held), epochs, at])
            asked = dict(cursor.fetchall())
        for pk, lease in held.items():
            if pk in asked:
                lease.until = began + settings.RUN_LEASE_SECONDS
            lease.lost = pk not in asked
            if lease.lost or asked[pk] is not None:
                lease.cancelled.set()
