"""How much: limits a window, and what of them is used."""

from django.db import models

from policy.models.identity import Team


class Quota(models.Model):
    """A limit on what a team may do within a window of time."""

    class Metric(models.TextChoices):
        RUNS = "runs"
        CALLS = "calls", "Tool calls"

    class Window(models.TextChoices):
        MINUTE = "minute"
        HOUR = "hour"
        DAY = "day"
        MONTH = "month"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="quotas")
    metric = models.CharField(max_length=20, choices=Metric.choices)
    window = models.CharField(max_length=10, choices=Window.choices)
    limit = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "metric", "window"], name="quota_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.limit} {self.metric} a {self.window}"


class QuotaUse(models.Model):
    """What of a quota is used in the window that starts at ``window_start``."""

    quota = models.ForeignKey(Quota, on_delete=models.CASCADE, related_name="uses")
    window_start = models.DateTimeField()
    used = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["quota", "window_start"], name="use_once")
        ]

    def __str__(self) -> str:
        return f"{self.used} of {self.quota_id} since {self.window_start}"
