"""Finds runsc and the platform on which it works here."""

import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

from gateway.sandbox.errors import SandboxUnavailable
from gateway.sandbox.member import Boot, boot, checkpoint
from gateway.sandbox.namespace import Namespace

_log = logging.getLogger(__name__)
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


def prepare(plan: Boot, namespace: Namespace) -> Boot:
    """The plan with the first platform that boots a sandbox in time.

    That sandbox is saved for others to be restored from, where this works; else they
    are booted one by one. Raises SandboxUnavailable.
    """
    reasons = []
    for platform in [plan.platform] if plan.platform else PLATFORMS:
        test = replace(plan, platform=platform, timeout=_TEST_SECONDS)
        try:
            member = boot(test, namespace)
        except SandboxUnavailable as error:
            reasons.append(f"{platform}: {error}")
            continue
        chosen = replace(plan, platform=platform)
        try:
            saved = replace(test, checkpoint=checkpoint(test, namespace, member))
            boot(saved, namespace).dispose()
            chosen = replace(chosen, checkpoint=saved.checkpoint)
        except SandboxUnavailable as error:
            _log.warning("sandboxes are booted, not restored: %s", error)
        finally:
            member.dispose()
        return chosen
    raise SandboxUnavailable("; ".join(reasons))
