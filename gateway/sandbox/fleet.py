"""The sandboxes of one runtime: their image, how they boot, those that wait."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from gateway.sandbox import image, spec
from gateway.sandbox.api import JSON, Limits
from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.member import Boot, Haste, Member, boot
from gateway.sandbox.namespace import Namespace
from gateway.sandbox.pool import Pool
from gateway.sandbox.runsc import prepare
from gateway.sandbox.runtimes import RUNTIMES, Runtime, runtime_for

_BOOT_SECONDS = 30.0


class Fleet:
    """A pool of `size` sandboxes that are restored from one of their kind."""

    def __init__(
        self,
        runtime: Runtime,
        own: Path,
        built: image.Image,
        namespace: Namespace,
        runsc: Path,
        platform: str,
        *,
        size: int,
        boots: int,
    ) -> None:
        """Find out how they boot; `own` is made, and removed where they do not.

        Its path must stay short: gVisor's sockets lie in it. Raises SandboxUnavailable.
        """
        self.image = built
        self._namespace = namespace
        own.mkdir(mode=0o700)
        spec.write_bundle(own / "bundle", built.path, runtime)
        plan = Boot(runsc, platform, own, _BOOT_SECONDS)
        try:
            self.plan = prepare(plan, namespace)
        except SandboxUnavailable:
            shutil.rmtree(own, ignore_errors=True)
            raise
        self.pool = Pool(self._boot, size=size, boots=boots)
        self._size = size

    def _boot(self, haste: Haste) -> Member:
        return boot(self.plan, self._namespace, haste)

    def describe(self) -> dict[str, JSON]:
        """State for health pages."""
        return {
            "image": self.image.digest,
            "restored": self.plan.checkpoint is not None,
            "size": self._size,
            "idle": self.pool.idle,
            "booted": self.pool.booted,
            "last_error": self.pool.last_error,
        }


Make = Callable[[Runtime, Path], Fleet]
_MOST_KINDS = 6  # beside each language's usual one


class Fleets:
    """The fleets of a runner by kind: made when first needed, least used closed."""

    def __init__(self, folder: Path, make: Make) -> None:
        self._folder = folder
        self._make = make
        self._made = 0
        self._closed = False
        self._fleets: dict[str, Fleet] = {}
        self._lock = threading.Lock()

    def of(self, language: str, limits: Limits) -> Fleet:
        """The sandboxes for such a job; the first call makes them, in seconds.

        Raises SandboxUnavailable.
        """
        kind, runtime = runtime_for(language, limits)
        fleet = self._fleets.get(kind)
        if fleet is not None and kind == language:
            return fleet
        with self._lock:
            if self._closed:
                raise SandboxUnavailable("the sandbox provider is closed")
            # Taken out and put in again: the first one is the least recently used.
            fleet = self._fleets.pop(kind, None)
            if fleet is None:
                self._made += 1
                self._close_least_used()
                fleet = self._make(runtime, self._folder / f"f{self._made}")
            self._fleets[kind] = fleet
            return fleet

    def _close_least_used(self) -> None:
        special = [kind for kind in self._fleets if kind not in RUNTIMES]
        if len(special) >= _MOST_KINDS:
            self._fleets.pop(special[0]).pool.close()

    def close(self) -> None:
        """Dispose of all that wait; those in use belong to their runs."""
        self._closed = True
        with self._lock:
            for fleet in self._fleets.values():
                fleet.pool.close()
            self._fleets = {}

    def describe(self) -> dict[str, JSON]:
        """State of each kind."""
        return {kind: fleet.describe() for kind, fleet in list(self._fleets.items())}
