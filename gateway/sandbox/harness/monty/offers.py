"""What Monty has of Python's library, found out by asking Monty itself."""

import threading
from typing import Protocol

from pydantic_monty import Monty, MontyError

_MOST_ANSWERS = 20_000
# There in Monty, but made of files and the process, which a run here does not have
_WITHHELD = frozenset({"os", "pathlib", "posixpath"})
_WITHHELD_NAMES = frozenset({"open", "input", "eval", "exec", "compile", "__import__"})


class Offers(Protocol):
    """Answers that the subset check needs."""

    def module(self, name: str) -> bool:
        """Whether the module can be imported."""
        ...

    def attribute(self, module: str, name: str) -> bool:
        """Whether the module has the attribute."""
        ...

    def builtin(self, name: str) -> bool:
        """Whether the name is there without an import."""
        ...


class MontyOffers:
    """Asks a pool's interpreter once for each name and remembers the answer.

    Names are identifiers out of a parsed script, dotted for modules; they are only
    ever imported or looked up here, which runs nothing of the script.
    """

    def __init__(self, pool: Monty) -> None:
        self._pool = pool
        self._answers: dict[str, bool] = {}
        self._lock = threading.Lock()

    def module(self, name: str) -> bool:
        """See Offers."""
        root = name.partition(".")[0]
        return root not in _WITHHELD and self._works(f"import {name}")

    def attribute(self, module: str, name: str) -> bool:
        """See Offers."""
        return self._works(f"import {module}\n{module}.{name}\n0")

    def builtin(self, name: str) -> bool:
        """See Offers."""
        return name not in _WITHHELD_NAMES and self._works(f"{name}\n0")

    def _works(self, code: str) -> bool:
        with self._lock:
            known = self._answers.get(code)
        if known is None:
            with self._pool.checkout(limits={"max_feed_duration_secs": 1.0}) as session:
                try:
                    session.feed_run(code)
                    known = True
                except MontyError:
                    known = False
            with self._lock:
                if len(self._answers) >= _MOST_ANSWERS:
                    self._answers.clear()
                self._answers[code] = known
        return known
