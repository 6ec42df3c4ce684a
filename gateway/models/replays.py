"""What a draft of the rules would have decided on recorded calls."""

from datetime import datetime, timedelta

from django.db import models

PATIENCE = timedelta(minutes=1)


class PolicyReplay(models.Model):
    """One replay of a draft: asked for, under way, or done with its ``result``.

    ``teams`` bounds whose calls were looked at; null stands for all of them. Calls
    are looked at from the newest back: ``reached_at`` is when the last one was made,
    ``alive_at`` when somebody last worked on the replay.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    uid = models.CharField(max_length=40, unique=True)
    draft = models.CharField(max_length=40)
    draft_revision = models.PositiveIntegerField()
    live_version = models.PositiveIntegerField()
    days = models.PositiveIntegerField()
    most_calls = models.PositiveIntegerField()
    teams = models.JSONField(null=True)
    rules = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    examined = models.PositiveIntegerField(default=0)
    reached_at = models.DateTimeField(null=True)
    alive_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True)
    asked_by = models.CharField(max_length=160)
    asked_label = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["draft", "-id"], name="replay_draft")]

    def __str__(self) -> str:
        return f"{self.uid} of {self.draft}"

    @property
    def waits(self) -> bool:
        """Whether it is still to be done."""
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    def is_left(self, at: datetime) -> bool:
        """Whether nobody has worked on it for a while, though it is to be done."""
        return self.waits and at - (self.alive_at or self.asked_at) > PATIENCE

    @property
    def percent(self) -> int:
        """How far it is: by the time it went back, or by the calls it may look at."""
        if self.reached_at is None:
            return 0
        back = (self.asked_at - self.reached_at) / timedelta(days=self.days)
        share = max(back, self.examined / self.most_calls)
        return min(100, max(0, round(100 * share)))
