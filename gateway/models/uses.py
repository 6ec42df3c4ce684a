"""When tools were last called, as reports ask for it."""

from django.db import models


class ToolUse(models.Model):
    """When a principal of a team last called a tool in an environment.

    A task keeps it from the journal, a minute or two behind.
    """

    team = models.CharField(max_length=40)
    environment = models.CharField(max_length=40)
    principal = models.CharField(max_length=120)
    tool = models.CharField(max_length=200)
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "environment", "principal", "tool"],
                name="tool_use_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.principal} {self.tool} {self.last_at}"


class ToolUseMark(models.Model):
    """Up to which call the journal was read: one row."""

    call = models.BigIntegerField(default=0)
    read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="tool_use_mark_once")
        ]

    def __str__(self) -> str:
        return f"up to call {self.call}"
