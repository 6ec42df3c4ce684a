"""Months that are charged: their statements, lines, and what is adjusted by hand."""

from django.db import models

from finops.models.centres import CostCentre


class BillingPeriod(models.Model):
    """A calendar month of the report's zone, named by its first day.

    It owns the ledger's rows with ``at`` before its end and an id up to ``cut`` that no
    month before owns. Evidence of a closed month: ``allocations``, the weights that
    shared costs were split by, ``platform``, the fixed costs as ``[name, month,
    amount]``, and ``rates``, the exchange rates of the month.
    The totals are exact, those of the ledger, the platform costs and what was adjusted
    by hand; ``billed`` is what all statements come to.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        REVIEW = "review", "In review"
        CLOSED = "closed"
        ISSUED = "issued"

    month = models.DateField(unique=True)
    zone = models.CharField(max_length=60)
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    cut = models.BigIntegerField(default=0)
    built_at = models.DateTimeField(null=True)
    unrated = models.PositiveBigIntegerField(default=0)
    ledger_cost = models.DecimalField(max_digits=28, decimal_places=12, default=0)
    platform_cost = models.DecimalField(max_digits=28, decimal_places=12, default=0)
    adjusted = models.DecimalField(max_digits=28, decimal_places=12, default=0)
    billed = models.DecimalField(max_digits=28, decimal_places=12, default=0)
    allocations = models.JSONField(default=list)
    platform = models.JSONField(default=list)
    rates = models.JSONField(default=dict)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.CharField(max_length=200, blank=True)
    close_reason = models.CharField(max_length=400, blank=True)
    issued_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(month__day=1), name="billing_period_month"
            )
        ]

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"

    @property
    def is_open(self) -> bool:
        """Whether its statements may still change."""
        return self.state in {self.State.DRAFT, self.State.REVIEW}


class Statement(models.Model):
    """What one cost centre bears of a month. A closed one never changes.

    ``content`` names what it says; what is accepted is accepted with it. ``position``
    is the place in the chain of closed statements, whose ``digest`` covers the one
    before.
    """

    class State(models.TextChoices):
        DRAFT = "draft"
        REVIEW = "review", "In review"
        ACCEPTED = "accepted"
        CLOSED = "closed"
        ISSUED = "issued"

    uid = models.CharField(max_length=40, unique=True)
    period = models.ForeignKey(
        BillingPeriod, on_delete=models.PROTECT, related_name="statements"
    )
    cost_centre = models.ForeignKey(
        CostCentre, on_delete=models.PROTECT, related_name="statements"
    )
    cost_centre_name = models.CharField(max_length=100)
    charged = models.BooleanField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    cost = models.DecimalField(max_digits=28, decimal_places=12)
    billed = models.DecimalField(max_digits=28, decimal_places=12)
    content = models.CharField(max_length=64)
    accepted_by = models.CharField(max_length=120, blank=True)
    accepted_label = models.CharField(max_length=200, blank=True)
    accepted_at = models.DateTimeField(null=True)
    position = models.PositiveIntegerField(null=True, unique=True)
    previous_digest = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    closed_at = models.DateTimeField(null=True)
    number = models.CharField(max_length=40, blank=True)
    issued_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["period", "cost_centre"], name="statement_once"
            ),
            models.UniqueConstraint(
                fields=["number"],
                name="statement_number_once",
                condition=~models.Q(number=""),
            ),
        ]

    def __str__(self) -> str:
        return self.number or self.uid


class StatementLine(models.Model):
    """A line as ``finops.chargeback.statement.StatementLine`` describes it."""

    statement = models.ForeignKey(
        Statement, on_delete=models.CASCADE, related_name="lines"
    )
    number = models.PositiveIntegerField()
    category = models.CharField(max_length=12)
    team = models.CharField(max_length=40, blank=True)
    cost_centre = models.CharField(max_length=40, blank=True)
    project = models.CharField(max_length=40, blank=True)
    environment = models.CharField(max_length=40, blank=True)
    sku = models.CharField(max_length=200)
    unit = models.CharField(max_length=60)
    quantity = models.DecimalField(max_digits=28, decimal_places=9)
    cost = models.DecimalField(max_digits=28, decimal_places=12)
    billed = models.DecimalField(max_digits=28, decimal_places=12)
    charge_month = models.DateField()
    rule = models.CharField(max_length=40, blank=True)
    rule_version = models.PositiveIntegerField(null=True)
    method = models.CharField(max_length=15, blank=True)
    driver = models.CharField(max_length=15, blank=True)
    ratio = models.DecimalField(max_digits=19, decimal_places=18, null=True)
    price = models.ForeignKey("finops.Price", on_delete=models.PROTECT, null=True)
    reason = models.CharField(max_length=400, blank=True)
    key = models.CharField(max_length=24)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["statement", "number"], name="statement_line_once"
            ),
            models.UniqueConstraint(
                fields=["statement", "key"], name="statement_key_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.sku}"


class Adjustment(models.Model):
    """A credit or another amount that a person puts on a month that is open.

    A credit is below 0. ``charge_month`` is the month that it makes good.
    """

    class Kind(models.TextChoices):
        CREDIT = "credit"
        ADJUSTMENT = "adjustment"

    uid = models.CharField(max_length=40, unique=True)
    period = models.ForeignKey(
        BillingPeriod, on_delete=models.PROTECT, related_name="adjustments"
    )
    cost_centre = models.ForeignKey(
        CostCentre, on_delete=models.PROTECT, related_name="adjustments"
    )
    kind = models.CharField(max_length=10, choices=Kind.choices)
    amount = models.DecimalField(max_digits=28, decimal_places=12)
    charge_month = models.DateField()
    reason = models.CharField(max_length=400)
    dispute = models.ForeignKey(
        "finops.Dispute",
        on_delete=models.PROTECT,
        null=True,
        related_name="adjustments",
    )
    created_by = models.CharField(max_length=120)
    created_label = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(kind="credit") | models.Q(amount__lt=0),
                name="credit_below_zero",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"
