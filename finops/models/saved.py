"""Reports that people keep under a name, and have sent to them."""

from django.db import models
from django.db.models import Q


class SavedReport(models.Model):
    """A report with its filters. ``team`` is whom it is shared with, "" for nobody.

    ``owner`` is an actor's id: the view outlives the person.
    """

    uid = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=60)
    owner = models.CharField(max_length=160)
    page = models.CharField(max_length=40)
    query = models.CharField(max_length=2_000, blank=True)
    team = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"], name="saved_report_of_an_owner"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ReportSchedule(models.Model):
    """When a saved report is sent and to whom, by the rights of ``owner``.

    ``hour`` is of ``zone``; ``weekday`` counts from Monday, 0; ``day`` is one of the
    month, its last where it is shorter. ``paused_because`` says why it rests.
    """

    class Every(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"

    uid = models.CharField(max_length=40, unique=True)
    view = models.ForeignKey(
        SavedReport, on_delete=models.CASCADE, related_name="schedules"
    )
    owner = models.CharField(max_length=160)
    every = models.CharField(max_length=6, choices=Every.choices)
    weekday = models.PositiveSmallIntegerField(default=0)
    day = models.PositiveSmallIntegerField(default=1)
    hour = models.PositiveSmallIntegerField()
    zone = models.CharField(max_length=60)
    recipients = models.JSONField(default=list)
    next_at = models.DateTimeField()
    paused_because = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(
                fields=["next_at"],
                name="report_schedule_due",
                condition=Q(paused_because=""),
            )
        ]

    def __str__(self) -> str:
        return f"{self.view_id} every {self.every}"


class ReportMail(models.Model):
    """One mail to one address: written when it is due, sent afterwards, once."""

    class State(models.TextChoices):
        QUEUED = "queued"
        DELIVERED = "delivered"
        DEAD = "dead"

    uid = models.CharField(max_length=40, unique=True)
    schedule = models.ForeignKey(
        ReportSchedule, on_delete=models.CASCADE, related_name="mails"
    )
    due_at = models.DateTimeField()
    recipient = models.CharField(max_length=254)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    html = models.TextField(blank=True)
    csv = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    last_error = models.CharField(max_length=300, blank=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "due_at", "recipient"], name="report_mail_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["next_at"], name="report_mail_due", condition=Q(state="queued")
            )
        ]

    def __str__(self) -> str:
        return f"{self.uid} {self.state}"
