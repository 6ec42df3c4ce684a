"""The append-only ledger of metered quantities."""

from typing import Self

from django.contrib.postgres.indexes import BrinIndex
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


class Ledger(models.QuerySet["UsageEvent"]):
    """Rows of the ledger by what they stand for."""

    def standing(self) -> Self:
        """The rows that hold: neither taken back nor taking one back."""
        taken_back = UsageEvent.objects.filter(
            reverses=models.OuterRef("uid"), at=models.OuterRef("at")
        )
        return self.filter(~models.Exists(taken_back), reverses="")


class UsageEvent(Snapshot):
    """A metered quantity, priced when it is booked. Rows are never changed.

    The table has a partition a month, and a uid counts once over all of them: a second
    row of it is left out by PostgreSQL (``finops_usageuid``). Ids only rise.

    ``uid`` makes a second report of the same thing harmless. ``at`` is when it
    happened; ``reported_at`` when it was learned, null where that is the same moment.
    ``cost`` is null while no price is known (unrated), which is not the same as 0.

    ``cost`` is in ``currency``, the organization's. Where the price is in another,
    ``list_cost`` in ``list_currency`` is what it says, and ``rate`` what turned it into
    ``cost``: null where the month has no rate, and then the quantity is unrated.

    ``flaw`` says why a quantity is not known, and so 0 and unrated whatever the price:
    the value it is read off is missing, no number, negative or too large.

    A mistake is taken back by a row with the opposite quantity and cost whose
    ``reverses`` names the uid, and booked again as a row of its own.
    """

    class Kind(models.TextChoices):
        TOKENS = "tokens"
        MODEL_TOKENS = "model_tokens", "Model tokens"
        TOOL_CALL = "tool_call", "Tool call"
        TOOL_UNITS = "tool_units", "Units of a tool"
        SANDBOX_CPU = "sandbox_cpu", "Sandbox CPU"
        SANDBOX_MEMORY = "sandbox_memory", "Sandbox memory"

    class TokenKind(models.TextChoices):
        """Parts of a model's tokens: none of them holds another."""

        INPUT = "input", "Fresh input"
        CACHED_READ = "cached_read", "Cached input"
        CACHE_WRITE = "cache_write", "Cache write"
        OUTPUT = "output", "Output"
        REASONING = "reasoning", "Reasoning"

    class Known(models.TextChoices):
        MEASURED = "measured"
        REPORTED = "reported"
        ESTIMATED = "estimated"

    uid = models.CharField(max_length=80)
    at = models.DateTimeField()
    kind = models.CharField(max_length=20, choices=Kind.choices)
    sku = models.CharField(max_length=200)
    unit = models.CharField(max_length=60)
    quantity = models.DecimalField(max_digits=28, decimal_places=9)
    known = models.CharField(max_length=10, choices=Known.choices)
    cost = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    currency = models.CharField(max_length=3)
    list_cost = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    list_currency = models.CharField(max_length=3, blank=True, db_default="")
    rate = models.DecimalField(max_digits=28, decimal_places=12, null=True)
    price = models.ForeignKey("finops.Price", on_delete=models.PROTECT, null=True)
    run = models.CharField(max_length=40)
    task = models.CharField(max_length=40)
    step = models.IntegerField(null=True)
    server = models.CharField(max_length=60, blank=True)
    tool = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=100, blank=True)
    token_kind = models.CharField(
        max_length=12, choices=TokenKind.choices, blank=True, db_default=""
    )
    flaw = models.CharField(max_length=20, blank=True, db_default="")
    reported_at = models.DateTimeField(null=True)
    reverses = models.CharField(max_length=80, blank=True, db_default="")
    key = models.CharField(max_length=11, blank=True, db_default="")

    objects = Ledger.as_manager()

    class Meta:
        indexes = [
            BrinIndex(
                fields=["at"], name="usage_at", autosummarize=True, pages_per_range=32
            ),
            models.Index(fields=["run"], name="usage_run"),
            models.Index(fields=["team", "at"], name="usage_team"),
            models.Index(
                fields=["at"], name="usage_unrated", condition=models.Q(cost=None)
            ),
            models.Index(fields=["at"], name="usage_loose", condition=models.Q(run="")),
            models.Index(
                fields=["task"],
                name="usage_task_loose",
                condition=models.Q(run="") & ~models.Q(task=""),
            ),
            models.Index(
                fields=["reported_at"],
                name="usage_late",
                condition=models.Q(reported_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["uid", "at"], name="usage_uid"),
            models.UniqueConstraint(
                fields=["reverses", "at"],
                name="usage_reversed_once",
                condition=~models.Q(reverses=""),
            ),
            models.CheckConstraint(
                condition=models.Q(kind="model_tokens", token_kind__gt="")
                | (~models.Q(kind="model_tokens") & models.Q(token_kind="")),
                name="usage_token_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.unit} of {self.sku}"
