"""What the supervisor has already done to one database, so that it is done once."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg

# Changes when the cluster or the database is made anew.
IDENTITY = """
SELECT s.system_identifier || '/' || d.oid
FROM pg_control_system() s, pg_database d WHERE d.datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class State:
    """Steps done, each with a mark of what it was made from."""

    path: Path
    marks: dict[str, str]

    @classmethod
    def load(cls, path: Path, database_url: str) -> "State":
        """Read the file; it counts only for the database that it was written for."""
        with psycopg.connect(database_url) as connection:
            row = connection.execute(IDENTITY).fetchone()
        identity = {"database": str(row[0]) if row else ""}
        try:
            marks: dict[str, str] = json.loads(path.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return cls(path, identity)
        same = marks.get("database") == identity["database"]
        return cls(path, marks if same else identity)

    def is_done(self, step: str, mark: str) -> bool:
        """Whether the step was done from the same ingredients."""
        return self.marks.get(step) == mark

    def done(self, step: str, mark: str) -> None:
        """Remember the step."""
        self.marks[step] = mark
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.marks, indent=2))
        fresh.replace(self.path)

    def forget(self, step: str) -> None:
        """Have the step done again."""
        self.marks.pop(step, None)


def digest(files: Iterable[Path], *words: str) -> str:
    """Mark of the files' names and contents, and of the words."""
    found = hashlib.sha256(repr(words).encode())
    for path in sorted(files):
        if path.is_file():
            found.update(f"\0{path}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()[:20]
