"""The sandboxes of one language: their image, how they boot, those that wait."""

import shutil
from pathlib import Path

from gateway.sandbox import image, spec
from gateway.sandbox.api import JSON
from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.member import Boot, Haste, Member, boot
from gateway.sandbox.namespace import Namespace
from gateway.sandbox.pool import Pool
from gateway.sandbox.runsc import prepare
from gateway.sandbox.runtimes import RUNTIMES

_BOOT_SECONDS = 30.0


class Fleet:
    """A pool of `size` sandboxes that are restored from one of their kind."""

    def __init__(
        self,
        language: str,
        folder: Path,
        built: image.Image,
        namespace: Namespace,
        runsc: Path,
        platform: str,
        *,
        size: int,
        boots: int,
    ) -> None:
        """Find out how they boot; `folder` is the runner's own.

        Raises SandboxUnavailable.
        """
        self.image = built
        self._namespace = namespace
        # one letter: paths of gVisor's sockets must stay short
        own = folder / language[0]
        own.mkdir(mode=0o700)
        spec.write_bundle(own / "bundle", built.path, RUNTIMES[language])
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
