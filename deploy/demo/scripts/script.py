"""What one demo task is made of."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoScript:
    """A task of a team's agent: its attempts in order, of which the last succeeds."""

    name: str
    team: str
    task: str
    attempts: tuple[str, ...]
