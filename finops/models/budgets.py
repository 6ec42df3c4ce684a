"""Budgets: what may be spent in a window, what of it is spent and held."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from finops.budgeting.terms import LEAST_RESERVED, Cover
from finops.budgeting.windows import Calendar
from policy.models import ApiKey, NotificationChannel, Project, Team


class BudgetQuerySet(models.QuerySet["Budget"]):
    def live(self) -> "BudgetQuerySet":
        """Budgets in force; removed ones stay for their history."""
        return self.filter(removed_at=None)


class Budget(models.Model):
    """An amount that may be spent in each window, in the organization's currency.

    It counts the costs that match all of team, project, key and model; an empty one
    matches any. With ``hard`` what would pass the amount and its grace is refused.
    ``reserve`` is what a run holds until it ends; null stands for ``expected``, which
    is worked out from recent runs. ``thresholds`` are per cent of the amount. A
    ``paused`` one counts on, refuses nothing and tells nobody.
    """

    class Period(models.TextChoices):
        MONTH = "month", "Calendar month"
        CUSTOM = "custom", "Days of its own"

    uid = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="budgets", null=True
    )
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, related_name="budgets", null=True
    )
    key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, related_name="budgets", null=True
    )
    model = models.CharField(max_length=100, blank=True)
    period = models.CharField(max_length=10, choices=Period.choices)
    first_day = models.DateField(null=True)
    last_day = models.DateField(null=True)
    every_days = models.PositiveIntegerField(null=True)
    amount = models.DecimalField(max_digits=28, decimal_places=12)
    thresholds = models.JSONField(default=list)
    hard = models.BooleanField(default=False)
    paused = models.BooleanField(default=False, db_default=False)
    grace_amount = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    grace_percent = models.DecimalField(max_digits=7, decimal_places=2, null=True)
    grace_until = models.DateTimeField(null=True)
    reserve = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    expected = models.DecimalField(max_digits=28, decimal_places=12)
    channels = models.ManyToManyField(NotificationChannel, related_name="budgets")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    removed_at = models.DateTimeField(null=True)

    objects = BudgetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"], name="budget_name_once", condition=Q(removed_at=None)
            ),
            models.CheckConstraint(
                condition=Q(period="month", first_day=None, every_days=None)
                | Q(period="custom", first_day__isnull=False),
                name="budget_days_of_period",
            ),
            models.CheckConstraint(
                condition=Q(amount__gte=0), name="budget_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(expected__gte=LEAST_RESERVED)
                & (Q(reserve=None) | Q(reserve__gte=LEAST_RESERVED)),
                name="budget_reserves_something",
            ),
            models.CheckConstraint(
                condition=Q(grace_amount=None) | Q(grace_percent=None),
                name="budget_one_grace",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def calendar(self) -> Calendar:
        """Its windows, in the zone of the reports."""
        zone: str = settings.REPORT_TIME_ZONE
        if self.period == self.Period.MONTH:
            return Calendar(zone)
        return Calendar(zone, self.first_day, self.last_day, self.every_days)

    def as_cover(self) -> Cover:
        """The budget as a value; reads team, project with its team, and key."""
        team = self.team or (self.project.team if self.project else None)
        return Cover(
            id=self.pk,
            name=self.name,
            calendar=self.calendar,
            team=team.slug if team else "",
            project=self.project.slug if self.project else "",
            key=self.key.prefix if self.key else "",
            model=self.model,
        )


class BudgetVersion(models.Model):
    """The terms of a budget from ``at`` on, who set them, and why."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="terms")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    actor = models.CharField(max_length=200)
    reason = models.CharField(max_length=400)
    amount = models.DecimalField(max_digits=28, decimal_places=12)
    terms = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "number"], name="budget_version_once"
            )
        ]

    def __str__(self) -> str:
        return f"version {self.number} of {self.budget_id}"


class BudgetUse(models.Model):
    """What of a budget is spent and held in the window that starts then.

    ``spent`` is what the ledger says: ``corrections`` counts how often it had to be
    brought there. ``limit`` is the hard stop that applied last; null: none.
    ``forecast`` is what it will be at its end, or ``forecast_note`` why nobody knows.
    """

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="uses")
    window_start = models.DateTimeField()
    window_end = models.DateTimeField()
    spent = models.DecimalField(max_digits=28, decimal_places=12, db_default=0)
    held = models.DecimalField(max_digits=28, decimal_places=12, db_default=0)
    limit = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    corrections = models.PositiveIntegerField(db_default=0)
    forecast = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    forecast_low = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    forecast_high = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    forecast_note = models.CharField(max_length=100, blank=True, db_default="")
    forecast_at = models.DateTimeField(null=True)
    reconciled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "window_start"], name="budget_use_once"
            ),
            models.CheckConstraint(
                condition=Q(held__gte=0), name="budget_use_held_something"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.spent} of {self.budget_id} since {self.window_start}"


class BudgetHold(models.Model):
    """What a run or request has reserved of a budget, until it ends.

    ``amount`` is counted in the window's ``held``. After ``expires_at`` nobody can
    still be working for it; a run's hold has none, since every run is ended.
    """

    holder = models.CharField(max_length=80)
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="holds")
    window_start = models.DateTimeField()
    amount = models.DecimalField(max_digits=28, decimal_places=12)
    at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["holder", "budget"], name="budget_hold_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["expires_at"],
                name="budget_hold_expires",
                condition=Q(expires_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.holder} holds {self.amount} of {self.budget_id}"


class BudgetRefusal(models.Model):
    """An act that a budget refused: an index into the trail, kept for a while."""

    budget = models.ForeignKey(
        Budget, on_delete=models.PROTECT, related_name="refusals"
    )
    at = models.DateTimeField()
    principal = models.CharField(max_length=200)
    team = models.CharField(max_length=40)
    key = models.CharField(max_length=11, blank=True)
    tool = models.CharField(max_length=200, blank=True)
    run = models.CharField(max_length=40, blank=True)
    asked = models.DecimalField(max_digits=28, decimal_places=12)
    left = models.DecimalField(max_digits=28, decimal_places=12)
    event = models.CharField(max_length=40)

    class Meta:
        indexes = [models.Index(fields=["budget", "-id"], name="budget_refusal")]

    def __str__(self) -> str:
        return f"{self.budget_id} refused {self.principal} at {self.at}"


class BudgetAlert(models.Model):
    """Something about a window that people were told, once.

    ``about`` tells alerts of one kind apart: the threshold, or the day.
    """

    class Kind(models.TextChoices):
        THRESHOLD = "threshold", "Threshold crossed"
        STOPPED = "stopped", "Hard stop reached"
        FORECAST = "forecast", "Forecast passes the budget"
        ANOMALY = "anomaly", "Unusual day"

    uid = models.CharField(max_length=40, unique=True)
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="alerts")
    window_start = models.DateTimeField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    about = models.CharField(max_length=20, blank=True)
    at = models.DateTimeField()
    text = models.CharField(max_length=400)
    figures = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "window_start", "kind", "about"],
                name="budget_alert_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.about} of {self.budget_id}"
