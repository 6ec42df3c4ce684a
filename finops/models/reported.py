"""Model usage as it was reported, one row an answer."""

from django.db import models

from finops.models.ledger import Snapshot, UsageEvent


class UsageReport(Snapshot):
    """The usage of one model's answer, as it came in; rows are never changed.

    ``event`` names the answer for good within its team, so that a second report of it
    is harmless. The ledger's rows follow from it: their uid is ``usage:<id>:<kind>``.
    Null tokens were not said, which is not 0. ``answer`` is the model server's own id.
    """

    class Source(models.TextChoices):
        GATEWAY = "gateway", "Passed through"
        REST = "rest", "REST"
        MCP = "mcp", "MCP"
        OTLP = "otlp", "OpenTelemetry"

    event = models.CharField(max_length=200)
    source = models.CharField(max_length=10, choices=Source.choices)
    known = models.CharField(max_length=10, choices=UsageEvent.Known.choices)
    at = models.DateTimeField()
    reported_at = models.DateTimeField()
    provider = models.CharField(max_length=100)
    model = models.CharField(max_length=100)
    input = models.BigIntegerField(null=True)
    output = models.BigIntegerField(null=True)
    cached_read = models.BigIntegerField(null=True)
    cache_write = models.BigIntegerField(null=True)
    reasoning = models.BigIntegerField(null=True)
    run = models.CharField(max_length=40, blank=True)
    task = models.CharField(max_length=40, blank=True)
    trace_id = models.CharField(max_length=32, blank=True)
    answer = models.CharField(max_length=200, blank=True, db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "event"], name="usage_told_once")
        ]
        indexes = [
            models.Index(
                fields=["run"], name="report_run", condition=~models.Q(run="")
            ),
            models.Index(
                fields=["team", "trace_id"],
                name="report_trace",
                condition=~models.Q(trace_id=""),
            ),
            models.Index(
                fields=["team", "answer"],
                name="report_answer",
                condition=models.Q(source="gateway") & ~models.Q(answer=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.event}"
