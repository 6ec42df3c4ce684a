"""A person's decision on one exact call."""

from django.db import models


class Approval(models.Model):
    """Asked for by a run's step; decided once, by somebody else, and used once.

    It is bound to run, step, tool version, argument digest and policy revision: where
    one of them differs at the time of use, it does not hold. ``requesters`` are the
    actor ids that may not decide. ``arguments`` are redacted.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        REJECTED = "rejected"
        EXPIRED = "expired"
        USED = "used"
        WITHDRAWN = "withdrawn"

    uid = models.CharField(max_length=40, unique=True)
    run = models.CharField(max_length=40)
    step = models.PositiveIntegerField()
    tool = models.CharField(max_length=200)
    tool_version = models.PositiveIntegerField()
    arguments = models.JSONField()
    arguments_digest = models.CharField(max_length=64)
    policy_revision = models.BigIntegerField()
    team = models.CharField(max_length=40)
    environment = models.CharField(max_length=40)
    requesters = models.JSONField(default=list)
    asked_because = models.CharField(max_length=200)
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.PENDING
    )
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=120, blank=True)
    decided_label = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=400, blank=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "step"], name="approval_once")
        ]
        indexes = [
            models.Index(
                fields=["expires_at"],
                name="approval_open",
                condition=models.Q(state="pending"),
            ),
            models.Index(fields=["team", "-id"], name="approval_team"),
        ]

    def __str__(self) -> str:
        return f"{self.uid} {self.state}"
