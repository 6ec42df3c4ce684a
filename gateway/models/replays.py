"""What a draft of the rules would have decided on recorded calls."""

from django.db import models


class PolicyReplay(models.Model):
    """One replay of a draft: asked for, under way, or done with its ``result``.

    ``teams`` bounds whose calls were looked at; null stands for all of them.
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
    result = models.JSONField(null=True)
    asked_by = models.CharField(max_length=160)
    asked_label = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["draft", "-id"], name="replay_draft")]

    def __str__(self) -> str:
        return f"{self.uid} of {self.draft}"
