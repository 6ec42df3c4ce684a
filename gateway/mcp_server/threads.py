"""Runs database work for the asynchronous endpoint on a few threads of its own."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import DatabaseError, close_old_connections, connection

from core.outage import outage

P = ParamSpec("P")
R = TypeVar("R")

_CHECK_SECONDS = 1.0
_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="mcp")
_checked: dict[int, float] = {}


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The result of a blocking call; each thread keeps its database connection.

    Raises Unavailable for a database that is away or full.
    """

    def work() -> R:
        _check_connection()
        try:
            return function(*args, **kwargs)
        except DatabaseError as error:
            if told := outage(error):
                raise told from error
            raise

    return await asyncio.get_running_loop().run_in_executor(_threads, work)


def _check_connection() -> None:
    """Drop this thread's connection if it is of no use; ask the server seldom.

    Each check makes the next statement ask the server whether it is there. One request
    comes here four times, and a connection that failed is checked at once.
    """
    me, at = threading.get_ident(), time.monotonic()
    if connection.errors_occurred or at - _checked.get(me, 0.0) > _CHECK_SECONDS:
        _checked[me] = at
        close_old_connections()
