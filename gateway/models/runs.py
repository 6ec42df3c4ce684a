"""Tasks, their runs, and the journal of each run's calls."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models.functions import Now

from core.fields import JsonTextField

if TYPE_CHECKING:
    from audit.web import Rights


class Task(models.Model):
    """One piece of work as the agent sees it; has one or more runs (attempts).

    ``label`` is the agent's own name for it, unique for its principal; without one it
    is known by its trace, by its client's session while that lasts, or not at all.
    ``joined_at`` is when its newest run was submitted.
    """

    uid = models.CharField(max_length=40, unique=True)
    label = models.CharField(max_length=200, blank=True)
    trace_id = models.CharField(max_length=32, blank=True, db_default="")
    session = models.CharField(max_length=80, blank=True, db_default="")
    principal = models.CharField(max_length=120)
    team = models.CharField(max_length=40)
    attempts = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    joined_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["principal", "label"],
                name="task_label_once",
                condition=~models.Q(label=""),
            ),
            models.UniqueConstraint(
                fields=["principal", "trace_id"],
                name="task_trace_once",
                condition=~models.Q(trace_id=""),
            ),
            models.UniqueConstraint(
                fields=["principal", "session"],
                name="task_session_once",
                condition=~models.Q(session=""),
            ),
        ]

    def __str__(self) -> str:
        return self.uid


def _seconds(first: datetime | None, last: datetime | None) -> float | None:
    return (last - first).total_seconds() if first and last else None


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, access: "Rights", capability: str) -> "RunQuerySet":
        """Runs of the teams that this person may see."""
        teams = access.teams_for(capability)
        return self if teams is None else self.filter(team__in=teams)

    def newest_first(self) -> "RunQuerySet":
        return self.order_by("-id")


class Run(models.Model):
    """One execution of one script, or one direct call (``mode``).

    ``epoch`` counts the claims: a worker whose epoch is no longer the run's may do
    nothing more in its name.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        AWAITING_APPROVAL = "awaiting_approval", "Awaiting approval"
        AWAITING_OUTCOME = "awaiting_outcome", "Outcome unknown"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class Mode(models.TextChoices):
        SCRIPT = "script"
        DIRECT = "direct"

    ENDED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)
    WAITING = (Status.AWAITING_APPROVAL, Status.AWAITING_OUTCOME)

    uid = models.CharField(max_length=40, unique=True)
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="runs")
    attempt = models.PositiveIntegerField()
    mode = models.CharField(max_length=10, choices=Mode.choices)
    team_id_at = models.BigIntegerField()
    team = models.CharField(max_length=40)
    cost_centre = models.CharField(max_length=40)
    project = models.CharField(max_length=40)
    environment = models.CharField(max_length=40)
    principal_kind = models.CharField(max_length=20)
    principal = models.CharField(max_length=120)
    principal_label = models.CharField(max_length=200)
    key_id_at = models.BigIntegerField(null=True)
    key = models.CharField(max_length=11, blank=True)
    scopes = models.JSONField(default=list)
    request_id = models.CharField(max_length=60, blank=True)
    address = models.CharField(max_length=60, blank=True)
    trace_id = models.CharField(max_length=32, blank=True, default="")
    model = models.CharField(max_length=100, blank=True)

    language = models.CharField(max_length=20)
    code = models.TextField(blank=True)
    code_sha256 = models.CharField(max_length=64)
    direct_tool = models.CharField(max_length=200, blank=True)
    direct_arguments = JsonTextField(null=True)
    catalog_revision = models.BigIntegerField()
    policy_revision = models.BigIntegerField()
    seed = models.BigIntegerField()
    image = models.CharField(max_length=80, blank=True)

    status = models.CharField(
        max_length=20, choices=Status.choices, default=Status.QUEUED
    )
    epoch = models.PositiveIntegerField(default=0)
    runner = models.CharField(max_length=120, blank=True)
    lease_until = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    held_since = models.DateTimeField(null=True)
    hold_seconds = models.FloatField(default=0)
    submitted_by = models.CharField(max_length=120, blank=True)
    queued_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    value = JsonTextField(null=True)
    stdout = models.TextField(blank=True)
    stdout_truncated = models.BooleanField(default=False)
    error = JsonTextField(null=True)
    usage = models.JSONField(default=dict)
    tool_calls = models.PositiveIntegerField(default=0)
    successful_calls = models.PositiveIntegerField(default=0)
    cost = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    currency = models.CharField(max_length=3, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["team", "-id"], name="run_team"),
            models.Index(fields=["principal", "-id"], name="run_principal"),
            models.Index(
                fields=["team", "trace_id"],
                name="run_trace",
                condition=~models.Q(trace_id=""),
            ),
            models.Index(
                fields=["status", "lease_until"],
                name="run_open",
                condition=models.Q(
                    status__in=[
                        "queued",
                        "running",
                        "awaiting_approval",
                        "awaiting_outcome",
                    ]
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def ended(self) -> bool:
        return self.status in self.ENDED

    @property
    def queue_seconds(self) -> float | None:
        """Seconds from the submission to the first claim; None before it."""
        return _seconds(self.queued_at, self.started_at)

    @property
    def run_seconds(self) -> float | None:
        """Seconds from the claim to the end without holds; None while it is open."""
        whole = _seconds(self.started_at, self.finished_at)
        return None if whole is None else max(0.0, whole - self.hold_seconds)


class ToolCall(models.Model):
    """One step of a run's journal: the intent, then its outcome.

    ``outcome`` is empty while the call is under way. ``result`` is what the script
    was given, kept for replay; ``position`` is when it was given it, among all replies
    of the run (1, 2, 3 …). ``arguments`` are redacted. ``policy_version`` is the rule
    set that decided, ``rules`` which of its rules had a say, or would have had one.
    """

    class Outcome(models.TextChoices):
        OK = "ok", "OK"
        TOOL_ERROR = "tool_error", "Tool error"
        DENIED = "denied"
        INVALID = "invalid", "Invalid arguments"
        FAILED = "failed"
        UNKNOWN = "unknown"
        WITHHELD = "withheld", "Result withheld"

    class Resolution(models.TextChoices):
        HAPPENED = "happened", "It happened"
        DID_NOT = "did_not", "It did not happen"
        ABANDON = "abandon", "Abandon the run"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="calls")
    step = models.PositiveIntegerField()
    epoch = models.PositiveIntegerField()
    tool = models.CharField(max_length=200)
    tool_version = models.PositiveIntegerField(null=True)
    effect = models.CharField(max_length=20, blank=True)
    arguments = JsonTextField()
    arguments_digest = models.CharField(max_length=64)
    decision = models.CharField(max_length=10)
    reasons = models.JSONField(default=list)
    intent_at = models.DateTimeField()
    outcome = models.CharField(max_length=20, choices=Outcome.choices, blank=True)
    outcome_at = models.DateTimeField(null=True)
    position = models.PositiveIntegerField(null=True)
    seconds = models.FloatField(null=True)
    error = JsonTextField(null=True)
    result = JsonTextField(null=True)
    resolution = models.CharField(max_length=10, choices=Resolution.choices, blank=True)
    resolved_by = models.CharField(max_length=120, blank=True)
    resolved_because = models.CharField(max_length=400, blank=True)
    result_bytes = models.PositiveBigIntegerField(default=0)
    result_tokens = models.PositiveBigIntegerField(default=0)
    policy_version = models.PositiveIntegerField(null=True)
    rules = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "step"], name="step_once")
        ]
        indexes = [
            models.Index(fields=["tool", "-id"], name="call_tool"),
            models.Index(
                fields=["intent_at"],
                name="call_ruled",
                condition=models.Q(rules__isnull=False),
            ),
            models.Index(
                fields=["-id"],
                name="call_unknown",
                condition=models.Q(outcome="unknown"),
            ),
            models.Index(
                fields=["-id"],
                name="call_resolved",
                condition=~models.Q(resolution=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}/{self.step} {self.tool}"
