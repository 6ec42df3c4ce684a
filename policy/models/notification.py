"""Whom to tell that a decision is asked for, and what became of each message."""

from django.db import models
from django.db.models import Q

from core.secrets import unseal
from policy.models.approval import Approval, ApprovalRoute
from policy.models.identity import Team
from policy.routing import Audience


class NotificationChannel(models.Model):
    """A way to tell an audience: e-mail, or a signed webhook.

    Without an audience it is told of every request; with ``team`` only of those of
    that team's calls. Without ``recipients`` an e-mail goes to each person of the
    audience. ``secret`` is sealed. ``busy_until`` is set while somebody sends, and for
    a pause after ``failures`` in a row, so that a receiver that hangs holds up little.
    """

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        WEBHOOK = "webhook"

    name = models.CharField(max_length=100, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    audience_kind = models.CharField(
        max_length=10, choices=ApprovalRoute.Kind.choices, blank=True
    )
    audience_name = models.CharField(max_length=40, blank=True)
    team = models.ForeignKey(
        Team, on_delete=models.CASCADE, null=True, related_name="channels"
    )
    events = models.JSONField(default=list)
    recipients = models.JSONField(default=list)
    url = models.CharField(max_length=500, blank=True)
    secret = models.BinaryField(null=True)
    with_arguments = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    busy_until = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @property
    def audience(self) -> Audience | None:
        """Whose requests it tells of; None for all."""
        if not self.audience_kind:
            return None
        return Audience(self.audience_kind, self.audience_name)

    @property
    def owner(self) -> str:
        """What its sealed secret is bound to."""
        return f"notification_channel:{self.pk}"

    @property
    def signing_secret(self) -> str:
        """The webhook's secret in clear, as ``whsec_…``; "" where there is none."""
        if not self.secret:
            return ""
        return str(unseal(bytes(self.secret), owner=self.owner))


class Notification(models.Model):
    """One message to one receiver: written with what it tells of, sent afterwards.

    ``uid`` stays the same over attempts, so that a receiver can drop a repetition.
    ``about`` tells messages on the same event of an approval apart. ``approval`` is
    None for a test.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        DELIVERED = "delivered"
        DEAD = "dead"
        SKIPPED = "skipped"

    uid = models.CharField(max_length=40, unique=True)
    channel = models.ForeignKey(
        NotificationChannel, on_delete=models.CASCADE, related_name="messages"
    )
    approval = models.ForeignKey(
        Approval, on_delete=models.CASCADE, null=True, related_name="messages"
    )
    event = models.CharField(max_length=40)
    about = models.CharField(max_length=40, blank=True)
    recipient = models.CharField(max_length=254, blank=True)
    payload = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    last_error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "approval", "event", "about", "recipient"],
                name="notification_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["channel", "next_at"],
                name="notification_due",
                condition=Q(state="queued"),
            ),
            models.Index(fields=["channel", "-id"], name="notification_channel"),
        ]

    def __str__(self) -> str:
        return f"{self.uid} {self.state}"
