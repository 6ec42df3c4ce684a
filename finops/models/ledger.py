"""The append-only ledger of metered quantities."""

from django.db import models


class Snapshot(models.Model):
    """Who pays and what for, as it stood when the work was done."""

    team = models.CharField(max_length=40)
    cost_centre = models.CharField(max_length=40)
    project = models.CharField(max_length=40)
    environment = models.CharField(max_length=40)
    principal = models.CharField(max_length=120)

    class Meta:
        abstract = True


class UsageEvent(Snapshot):
    """A metered quantity, priced when it is booked. Rows are never changed.

    ``uid`` makes a second report of the same thing harmless. ``cost`` is null while
    no price is known (unrated), which is not the same as 0.
    """

    class Kind(models.TextChoices):
        TOKENS = "tokens"
        TOOL_CALL = "tool_call", "Tool call"
        SANDBOX_CPU = "sandbox_cpu", "Sandbox CPU"
        SANDBOX_MEMORY = "sandbox_memory", "Sandbox memory"

    class Known(models.TextChoices):
        MEASURED = "measured"
        REPORTED = "reported"
        ESTIMATED = "estimated"

    uid = models.CharField(max_length=80, unique=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=Kind.choices)
    sku = models.CharField(max_length=200)
    unit = models.CharField(max_length=20)
    quantity = models.DecimalField(max_digits=28, decimal_places=9)
    known = models.CharField(max_length=10, choices=Known.choices)
    cost = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    currency = models.CharField(max_length=3)
    price = models.ForeignKey("finops.Price", on_delete=models.PROTECT, null=True)
    run = models.CharField(max_length=40)
    task = models.CharField(max_length=40)
    step = models.IntegerField(null=True)
    server = models.CharField(max_length=60, blank=True)
    tool = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=100, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["at", "id"], name="usage_at"),
            models.Index(fields=["run"], name="usage_run"),
            models.Index(fields=["team", "at"], name="usage_team"),
            models.Index(
                fields=["at"], name="usage_unrated", condition=models.Q(cost=None)
            ),
            models.Index(fields=["at"], name="usage_loose", condition=models.Q(run="")),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.unit} of {self.sku}"
