"""A thread for each sink, so that one that hangs holds up no other."""

import logging
import threading
from dataclasses import dataclass, field

from django.db import DatabaseError, connection

from audit.models import Sink
from audit.services.delivery import take_turn

logger = logging.getLogger(__name__)
_IDLE_SECONDS = 1.0
_LOOK_SECONDS = 2.0
_DATABASE_PAUSE = 2.0
# The first key of the advisory locks that keep two processes off one sink.
_LOCKS = 0x5111


@dataclass(slots=True)
class Deliverer:
    """Runs until ``stop``; sinks that are added, paused or removed are noticed."""

    stopping: threading.Event = field(default_factory=threading.Event)
    threads: dict[int, threading.Thread] = field(default_factory=dict)

    def run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._start_missing()
            except DatabaseError as error:
                logger.warning("the database does not answer: %s", error)
                connection.close()
            self.stopping.wait(_LOOK_SECONDS)
        connection.close()

    def stop(self, *, seconds: float = 5.0) -> None:
        """Let each thread end its batch; what hangs longer is left to die with us."""
        self.stopping.set()
        for thread in list(self.threads.values()):
            thread.join(seconds)

    def _start_missing(self) -> None:
        wanted = set(Sink.objects.filter(enabled=True).values_list("pk", flat=True))
        for pk, thread in list(self.threads.items()):
            if not thread.is_alive():
                del self.threads[pk]
        for pk in wanted - set(self.threads):
            thread = threading.Thread(
                target=self._serve, args=(pk,), name=f"sink-{pk}", daemon=True
            )
            self.threads[pk] = thread
            thread.start()

    def _serve(self, sink_id: int) -> None:
        """Take turns until the sink is off or gone; survive the database's absence."""
        while not self.stopping.is_set():
            try:
                if not self._turns(sink_id):
                    break
            except DatabaseError as error:
                logger.warning("sink %s: the database fails: %s", sink_id, error)
                self.stopping.wait(_DATABASE_PAUSE)
            except Exception:
                logger.exception("sink %s failed in a way nobody foresaw", sink_id)
                self.stopping.wait(_DATABASE_PAUSE)
            finally:
                connection.close()

    def _turns(self, sink_id: int) -> bool:
        """Whether to come back: the sink is on, but somebody else serves it."""
        if not _lock(sink_id):
            self.stopping.wait(_LOOK_SECONDS)
            return True
        while not self.stopping.is_set():
            if not Sink.objects.filter(pk=sink_id, enabled=True).exists():
                return False
            if take_turn(sink_id).idle:
                self.stopping.wait(_IDLE_SECONDS)
        return False


def _lock(sink_id: int) -> bool:
    """Held by this thread's connection until that is closed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCKS, sink_id])
        return bool(cursor.fetchone()[0])


def deliver_all(*, most_turns: int = 10_000) -> int:
    """Take turns with every sink until all are idle, in this thread; for commands."""
    delivered = 0
    for pk in (
        Sink.objects.filter(enabled=True).order_by("pk").values_list("pk", flat=True)
    ):
        for _ in range(most_turns):
            turn = take_turn(pk)
            delivered += turn.delivered
            if turn.idle:
                break
    return delivered
