"""The last signed checkpoint, kept outside the database beside the key.

A database that was rolled back, or rewritten, does not fit it any more: then nothing is
signed until a person has said that a restore was meant.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings


@dataclass(frozen=True, slots=True)
class AnchorFile:
    """A file with the note of the newest checkpoint."""

    path: Path

    def load(self) -> str:
        """The note, "" when there is none."""
        with suppress(FileNotFoundError):
            return self.path.read_text()
        return ""

    def save(self, note: str) -> None:
        """Replace the note, whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}.part")
        part.write_text(note)
        part.replace(self.path)

    def set_aside(self, name: str) -> Path | None:
        """Keep the note as another file beside it; None when there is none."""
        if not self.path.exists():
            return None
        return self.path.rename(self.path.with_name(f"{self.path.name}.{name}"))


def anchor_file() -> AnchorFile:
    """Where this installation keeps the checkpoint it signed last."""
    return AnchorFile(Path(settings.AUDIT_ANCHOR_FILE))
