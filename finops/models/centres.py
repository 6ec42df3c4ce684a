"""Who is charged: cost centres, and the rules that split shared costs among them."""

from django.db import models


class CostCentre(models.Model):
    """Who bears costs. ``slug`` is what teams name as their cost centre.

    Where it is not ``charged``, its statements are showback: they tell what was used.
    ``owner`` is the username of whoever answers for it besides its teams; "" is nobody.
    """

    slug = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    owner = models.CharField(max_length=150, blank=True)
    charged = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.slug


class AllocationRule(models.Model):
    """A rule for shared costs. Rules are tried by ``position``; the first one holds."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    position = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.slug


class AllocationVersion(models.Model):
    """What a rule says from a month on, until its next version. Rows never change.

    ``source`` says whether it takes usage (by SKU pattern, team or both) or platform
    costs (by name). ``receivers`` is a list of ``{"centre", "weight"}``; empty stands
    for every cost centre. A version that is not ``active`` ends the rule.
    """

    class Source(models.TextChoices):
        USAGE = "usage"
        PLATFORM = "platform", "Platform costs"

    class Method(models.TextChoices):
        DIRECT = "direct", "All to one"
        EVEN = "even", "In equal parts"
        FIXED = "fixed", "By fixed percentages"
        PROPORTIONAL = "proportional", "In proportion to a driver"

    class Driver(models.TextChoices):
        RUNS = "runs"
        TOOL_CALLS = "tool_calls", "Tool calls"
        TOKENS = "tokens", "Tokens through the gateway"
        MODEL_TOKENS = "model_tokens", "Model tokens"
        CPU = "cpu", "Sandbox CPU-seconds"
        COST = "cost", "Own cost"
        WEIGHT = "weight", "Weights set by hand"

    rule = models.ForeignKey(
        AllocationRule, on_delete=models.PROTECT, related_name="versions"
    )
    version = models.PositiveIntegerField()
    valid_from = models.DateField()
    active = models.BooleanField(default=True)
    source = models.CharField(max_length=10, choices=Source.choices)
    sku = models.CharField(max_length=200, blank=True)
    team = models.CharField(max_length=40, blank=True)
    method = models.CharField(max_length=15, choices=Method.choices)
    driver = models.CharField(max_length=15, choices=Driver.choices, blank=True)
    receivers = models.JSONField(default=list)
    reason = models.CharField(max_length=400)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "version"], name="allocation_version_once"
            ),
            models.CheckConstraint(
                condition=models.Q(valid_from__day=1), name="allocation_from_month"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule.slug}@{self.version}"
