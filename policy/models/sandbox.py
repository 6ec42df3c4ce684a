"""What scripts may use and how they are kept apart, as set for a scope."""

from django.db import models
from django.db.models import Q

from policy.models.identity import ApiKey, Environment, Team
from policy.sandbox import Rule


class SandboxPolicy(models.Model):
    """Isolation, limits and what is allowed, for one scope.

    A scope is an environment, a team, a key, or a pattern of tools. An empty list
    allows everything.
    """

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
    languages = models.JSONField(default=list)
    modes = models.JSONField(default=list)
    allowed_models = models.JSONField(default=list)
    require_model = models.BooleanField(default=False)
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
        return f"sandbox policy of {self.of}"

    @property
    def rule(self) -> Rule:
        """What it asks for."""
        return Rule(
            level=self.level,
            require_gvisor=self.require_gvisor,
            limits=self.limits,
            languages=tuple(self.languages),
            modes=tuple(self.modes),
            models=tuple(self.allowed_models),
            require_model=self.require_model,
            of=self.of,
        )

    @property
    def of(self) -> str:
        """Whose policy it is, in words."""
        if self.environment is not None:
            return f"environment {self.environment.slug}"
        if self.team is not None:
            return f"team {self.team.slug}"
        return f"key {self.key}" if self.key is not None else f"tool {self.tool}"
