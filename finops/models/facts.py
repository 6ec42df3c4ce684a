"""One row a finished run: what the reports count."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from finops.models.ledger import Snapshot


class RunFact(Snapshot):
    """A finished run as the reports see it.

    Durations are seconds. ``attempt`` counts the runs of the task from 1. ``tools``
    are those it called, each once and in order of name, ``tool_successes`` how many
    calls of each succeeded. ``tokens`` are the estimate of what crossed the gateway;
    those of models are another view of the same, and never added to it.
    """

    run = models.CharField(max_length=40, unique=True)
    task = models.CharField(max_length=40)
    attempt = models.PositiveIntegerField()
    mode = models.CharField(max_length=10)
    language = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=100, blank=True)
    succeeded = models.BooleanField()
    status = models.CharField(max_length=20)
    error_code = models.CharField(max_length=60, blank=True)
    tool_calls = models.PositiveIntegerField()
    successful_calls = models.PositiveIntegerField()
    tools = ArrayField(models.CharField(max_length=200), default=list)
    tool_successes = ArrayField(models.IntegerField(), default=list)
    queue_seconds = models.FloatField()
    hold_seconds = models.FloatField(default=0)
    run_seconds = models.FloatField()
    total_seconds = models.FloatField()
    tokens = models.PositiveBigIntegerField()
    tokens_measured = models.PositiveBigIntegerField(default=0)
    tokens_reported = models.PositiveBigIntegerField(default=0)
    tokens_avoided = models.BigIntegerField()
    cost = models.DecimalField(max_digits=28, decimal_places=12)
    unrated = models.PositiveIntegerField(default=0)
    currency = models.CharField(max_length=3)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["ended_at", "id"], name="fact_ended"),
            models.Index(fields=["team", "ended_at"], name="fact_team"),
            models.Index(fields=["task", "attempt"], name="fact_task"),
        ]

    def __str__(self) -> str:
        return f"{self.run} {self.status}"
