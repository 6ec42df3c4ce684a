"""Objections to a line of a statement, and what was said about them."""

from django.db import models

from finops.models.statements import Statement


class Dispute(models.Model):
    """An objection to one line, named by its key: drafts may be built anew.

    ``line`` is the line as it stood when it was disputed. Whoever opened it does not
    resolve it.
    """

    class State(models.TextChoices):
        OPEN = "open"
        REJECTED = "rejected"
        CREDITED = "credited"
        ADJUSTED = "adjusted"
        WITHDRAWN = "withdrawn"

    uid = models.CharField(max_length=40, unique=True)
    statement = models.ForeignKey(
        Statement, on_delete=models.PROTECT, related_name="disputes"
    )
    key = models.CharField(max_length=24)
    line = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    reason = models.CharField(max_length=2000)
    opened_by = models.CharField(max_length=120)
    opened_label = models.CharField(max_length=200)
    opened_at = models.DateTimeField()
    resolution = models.CharField(max_length=400, blank=True)
    resolved_by = models.CharField(max_length=120, blank=True)
    resolved_label = models.CharField(max_length=200, blank=True)
    resolved_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["statement", "key"],
                name="dispute_open_once",
                condition=models.Q(state="open"),
            )
        ]

    def __str__(self) -> str:
        return self.uid


class DisputeComment(models.Model):
    """What a person said in a dispute; ``runs`` are the runs it points to."""

    dispute = models.ForeignKey(
        Dispute, on_delete=models.CASCADE, related_name="comments"
    )
    author = models.CharField(max_length=120)
    label = models.CharField(max_length=200)
    text = models.CharField(max_length=2000)
    runs = models.JSONField(default=list)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.label} at {self.at:%Y-%m-%d %H:%M}"
