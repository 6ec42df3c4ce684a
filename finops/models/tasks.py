"""One row a task that has a finished run: what success and tokens are counted by."""

from decimal import Decimal

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Case, ExpressionWrapper, F, Q, Value, When

from finops.models.ledger import Snapshot

_BIG = models.BigIntegerField()
_MEASURED = ExpressionWrapper(F("run_measured") + F("loose_measured"), _BIG)
_REPORTED = ExpressionWrapper(F("run_reported") + F("loose_reported"), _BIG)


class TaskFact(Snapshot):
    """A task as the reports see it, kept up with the facts of its runs.

    ``submitted`` counts its runs, ``runs`` those that ended.
    Dimensions are those of its first run, that with the lowest attempt. ``run_*`` are
    sums over its runs, ``loose_*`` what was reported for it and for no run.
    ``most_calls`` is the most that one script made, ``direct_calls`` how many direct
    calls there were. ``stated`` is what the agent said of the outcome; it wins.
    """

    class Outcome(models.TextChoices):
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        ABANDONED = "abandoned"
        PENDING = "pending"

    task = models.CharField(max_length=40, unique=True)
    mode = models.CharField(max_length=10)
    language = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=100, blank=True)
    submitted = models.PositiveIntegerField()
    runs = models.PositiveIntegerField(default=1)
    first_attempt = models.PositiveIntegerField()
    last_attempt = models.PositiveIntegerField()
    first_succeeded = models.BooleanField()
    last_succeeded = models.BooleanField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    stated = models.CharField(max_length=10, choices=Outcome.choices, blank=True)
    stated_by = models.CharField(max_length=120, blank=True)
    stated_at = models.DateTimeField(null=True)
    most_calls = models.PositiveIntegerField()
    direct_calls = models.PositiveIntegerField()
    tried = models.GeneratedField(
        expression=ExpressionWrapper(
            Q(most_calls__gte=2) | Q(direct_calls__gte=2), models.BooleanField()
        ),
        output_field=models.BooleanField(),
        db_persist=True,
    )
    tools = ArrayField(models.CharField(max_length=200), default=list)
    successful_calls = models.PositiveIntegerField()
    run_estimated = models.PositiveBigIntegerField()
    run_measured = models.PositiveBigIntegerField(default=0)
    run_reported = models.PositiveBigIntegerField(default=0)
    loose_measured = models.PositiveBigIntegerField(default=0)
    loose_reported = models.PositiveBigIntegerField(default=0)
    known = models.GeneratedField(
        expression=Case(
            When(Q(run_measured__gt=0) | Q(loose_measured__gt=0), Value("measured")),
            When(Q(run_reported__gt=0) | Q(loose_reported__gt=0), Value("reported")),
            default=Value("estimated"),
        ),
        output_field=models.CharField(max_length=10),
        db_persist=True,
    )
    tokens = models.GeneratedField(
        expression=Case(
            When(Q(run_measured__gt=0) | Q(loose_measured__gt=0), _MEASURED),
            When(Q(run_reported__gt=0) | Q(loose_reported__gt=0), _REPORTED),
            default=ExpressionWrapper(F("run_estimated"), _BIG),
        ),
        output_field=_BIG,
        db_persist=True,
    )
    run_cost = models.DecimalField(max_digits=28, decimal_places=12)
    loose_cost = models.DecimalField(max_digits=28, decimal_places=12, default=0)
    unrated = models.IntegerField(default=0)
    currency = models.CharField(max_length=3)
    started_at = models.DateTimeField()
    first_ended_at = models.DateTimeField()
    ended_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["ended_at", "id"], name="taskfact_ended"),
            models.Index(fields=["first_ended_at"], name="taskfact_first"),
            models.Index(fields=["team", "ended_at"], name="taskfact_team"),
            models.Index(
                fields=["ended_at"],
                name="taskfact_open",
                condition=Q(outcome="failed", stated=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.outcome}"

    @property
    def cost(self) -> Decimal:
        """What all of it cost."""
        return self.run_cost + self.loose_cost
