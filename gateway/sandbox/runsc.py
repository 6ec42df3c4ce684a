"""Finds runsc and the platform on which it works here."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.member import Boot, boot
from gateway.sandbox.namespace import Namespace

PLATFORMS = ("systrap", "ptrace")  # kvm may hang instead of failing: never tried
_PLACES = (Path("/usr/local/lib/tollgate/runsc"), Path("/usr/local/bin/runsc"))
_TEST_SECONDS = 20.0


def find_runsc(wish: str, work_dir: Path) -> Path:
    """The path given, else TOLLGATE_RUNSC, else where deploy/install-runsc puts it.

    Raises SandboxUnavailable.
    """
    named = wish or os.environ.get("TOLLGATE_RUNSC", "")
    if named:
        found = shutil.which(named)
        if found is None:
            raise SandboxUnavailable(f"{named} is not an executable runsc")
        return Path(found).resolve()
    folders = [work_dir, *work_dir.parents]
    places = [folder / "bin" / "runsc" for folder in folders[:3]]
    data_dir = os.environ.get("TOLLGATE_DATA_DIR")
    if data_dir:
        places.insert(0, Path(data_dir, "bin", "runsc"))
    for place in (*places, *_PLACES):
        if os.access(place, os.X_OK) and place.is_file():
            return place.resolve()
    on_path = shutil.which("runsc")
    if on_path:
        return Path(on_path).resolve()
    raise SandboxUnavailable("runsc is missing: run deploy/install-runsc as root")


def choose_platform(plan: Boot, namespace: Namespace) -> str:
    """The first platform that boots a sandbox in time. Raises SandboxUnavailable."""
    reasons = []
    for platform in PLATFORMS:
        test = replace(plan, platform=platform, timeout=_TEST_SECONDS)
        try:
            boot(test, namespace).dispose()
        except SandboxUnavailable as error:
            reasons.append(f"{platform}: {error}")
        else:
            return platform
    raise SandboxUnavailable("; ".join(reasons))
