"""Eight threads that write events, and note down each once its commit has returned.

``python -m tests.integration.audit.writer LEDGER``; runs until it is killed.
"""

import os
import sys
import threading
import time

import django

THREADS = 8
_PAUSE = 0.02


def main(path: str) -> None:
    """Write for ever."""
    ledger = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    threads = [threading.Thread(target=_write, args=(ledger,)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _write(ledger: int) -> None:
    while True:
        try:
            event = make_event(at=now())
        except Error:
            connection.close()
            time.sleep(10 * _PAUSE)
            continue
        os.write(ledger, f"{event.uid}\n".encode())
        time.sleep(_PAUSE)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from django.db import Error, connection

    from core.clock import now
    from tests.builders.audit import make_event

    main(sys.argv[1])
