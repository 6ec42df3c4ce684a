"""What scripts may use and how they are kept apart, as set for a scope."""

from django.db import models
from django.db.models import Q

from policy.models.identity import ApiKey, Environment, Team
from policy.sandbox import Rule


class SandboxPolicy(models.Model):
    """Isolation and limits of one environment, team, key, or pattern of tools."""

    class Level(models.TextChoices):
        RUN = "run", "A sandbox per run"
        TEAM = "team", "A sandbox per team"

    environment = models.OneToOneField(
        Environment,
        on_delete=models.CASCADE,
        null=True,
        related_name="sandbox_policy",
    )
    team = models.OneToOneField(
        Team, on_delete=models.CASCADE, null=True, related_name="sandbox_policy"
    )
    key = models.OneToOneField(
        ApiKey, on_delete=models.CASCADE, null=True, related_name="sandbox_policy"
    )
    tool = models.CharField(max_length=200, blank=True)
    level = models.CharField(max_length=10, blank=True, choices=Level.choices)
    require_gvisor = models.BooleanField(default=False)
    limits = models.JSONField(default=dict)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(environment__isnull=False, team=None, key=None, tool="")
                    | Q(environment=None, team__isnull=False, key=None, tool="")
                    | Q(environment=None, team=None, key__isnull=False, tool="")
                    | (Q(environment=None, team=None, key=None) & ~Q(tool=""))
                ),
                name="sandbox_policy_one_scope",
            ),
            models.UniqueConstraint(
                fields=["tool"], condition=~Q(tool=""), name="sandbox_policy_tool_once"
            ),
        ]

    def __str__(self) -> str:
        scope = self.environment or self.team or self.key or self.tool
        return f"sandbox policy of {scope}"

    @property
    def rule(self) -> Rule:
        """What it asks for."""
        return Rule(self.level, self.require_gvisor, self.limits)
