"""How much: limits a window, what of them is used, held and refused."""

from django.db import models
from django.db.models import Q

from policy import quota
from policy.models.identity import ApiKey, Environment, Team


class QuotaQuerySet(models.QuerySet["Quota"]):
    def live(self) -> "QuotaQuerySet":
        """Quotas in force; removed ones stay for their history."""
        return self.filter(removed_at=None)


class Quota(models.Model):
    """A limit on what may be done within a window of time.

    It counts the acts that match all of team, key, tool and environment; an empty one
    matches any. ``tool`` is a pattern of full tool names, for calls alone.
    """

    class Metric(models.TextChoices):
        CALLS = quota.CALLS, "Tool calls"
        RUNS = quota.RUNS, "Runs"
        TOKENS = quota.TOKENS, "Tokens"
        CPU = quota.CPU, "Sandbox CPU-seconds"
        CONCURRENT = quota.CONCURRENT, "Runs at once"

    class Window(models.TextChoices):
        MINUTE = "minute"
        HOUR = "hour"
        DAY = "day"
        MONTH = "month"
        AT_ONCE = quota.AT_ONCE, "At once"

    team = models.ForeignKey(
        Team, on_delete=models.CASCADE, related_name="quotas", null=True
    )
    key = models.ForeignKey(
        ApiKey, on_delete=models.CASCADE, related_name="quotas", null=True
    )
    environment = models.ForeignKey(
        Environment, on_delete=models.CASCADE, related_name="quotas", null=True
    )
    tool = models.CharField(max_length=200, blank=True)
    metric = models.CharField(max_length=20, choices=Metric.choices)
    window = models.CharField(max_length=10, choices=Window.choices, blank=True)
    limit = models.PositiveBigIntegerField()
    changed_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    objects = QuotaQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "key", "environment", "tool", "metric", "window"],
                name="quota_scope_once",
                condition=Q(removed_at=None),
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(metric=quota.CALLS) | Q(tool=""), name="quota_tool_of_calls"
            ),
            models.CheckConstraint(
                condition=Q(metric=quota.CONCURRENT, window=quota.AT_ONCE)
                | (~Q(metric=quota.CONCURRENT) & ~Q(window=quota.AT_ONCE)),
                name="quota_window_of_metric",
            ),
        ]

    def __str__(self) -> str:
        return str(self.as_limit())

    def as_limit(self) -> quota.Limit:
        """The quota as a value; reads team, key and environment."""
        return quota.Limit(
            id=self.pk,
            metric=self.metric,
            window=self.window,
            limit=self.limit,
            team=self.team.slug if self.team else "",
            key_id=self.key_id,
            key=self.key.prefix if self.key else "",
            tool=self.tool,
            environment=self.environment.slug if self.environment else "",
        )


class QuotaUse(models.Model):
    """What of a quota is used in the window that starts at ``window_start``.

    ``used`` includes what runs hold; ``limit`` is what applied when it last rose.
    """

    quota = models.ForeignKey(Quota, on_delete=models.CASCADE, related_name="uses")
    window_start = models.DateTimeField()
    used = models.DecimalField(max_digits=20, decimal_places=3, default=0)
    limit = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["quota", "window_start"], name="use_once")
        ]

    def __str__(self) -> str:
        return f"{self.used} of {self.quota_id} since {self.window_start}"


class QuotaHold(models.Model):
    """What a run has reserved of a quota, until the run ends.

    ``amount`` is counted in the window's use. ``spent`` is what earlier claims of the
    run are known to have used of it.
    """

    holder = models.CharField(max_length=40)
    quota = models.ForeignKey(Quota, on_delete=models.CASCADE, related_name="holds")
    window_start = models.DateTimeField()
    amount = models.DecimalField(max_digits=20, decimal_places=3)
    spent = models.DecimalField(max_digits=20, decimal_places=3, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["holder", "quota"], name="hold_once")
        ]

    def __str__(self) -> str:
        return f"{self.holder} holds {self.amount} of {self.quota_id}"


class QuotaRefusal(models.Model):
    """An act that a quota refused: an index into the trail, kept for a while."""

    quota = models.ForeignKey(Quota, on_delete=models.CASCADE, related_name="refusals")
    at = models.DateTimeField()
    principal = models.CharField(max_length=200)
    team = models.CharField(max_length=40)
    key = models.CharField(max_length=11, blank=True)
    environment = models.CharField(max_length=40)
    tool = models.CharField(max_length=200, blank=True)
    run = models.CharField(max_length=40, blank=True)
    event = models.CharField(max_length=40)

    class Meta:
        indexes = [
            models.Index(fields=["quota", "-id"], name="refusal_quota"),
            models.Index(fields=["at"], name="refusal_at"),
        ]

    def __str__(self) -> str:
        return f"{self.quota_id} refused {self.principal} at {self.at}"
