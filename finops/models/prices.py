"""The price book, valid in time and in knowledge."""

from decimal import Decimal

from django.db import models


class Price(models.Model):
    """What one unit of a SKU costs.

    ``valid_*`` say when the price applies, ``known_*`` when it stood in the book: a
    correction ends the knowledge of a row and never changes it. ``sku`` may end in
    ``*``; the longest match wins. ``daily_*`` bound a price to hours of the day (UTC,
    the end excluded, past midnight where it is the smaller): it wins over a price
    without.
    """

    sku = models.CharField(max_length=200)
    unit = models.CharField(max_length=60)
    amount = models.DecimalField(max_digits=28, decimal_places=12)
    currency = models.CharField(max_length=3)
    valid_from = models.DateTimeField()
    valid_to = models.DateTimeField(null=True, blank=True)
    daily_from = models.TimeField(null=True, blank=True)
    daily_to = models.TimeField(null=True, blank=True)
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=100)

    class Meta:
        indexes = [models.Index(fields=["sku", "valid_from"], name="price_sku")]
        constraints = [
            models.UniqueConstraint(
                fields=["sku", "unit", "currency", "valid_from"],
                name="price_known_once",
                condition=models.Q(known_to=None, daily_from=None),
            ),
            models.UniqueConstraint(
                fields=[
                    "sku",
                    "unit",
                    "currency",
                    "valid_from",
                    "daily_from",
                    "daily_to",
                ],
                name="price_hours_known_once",
                condition=models.Q(known_to=None, daily_from__isnull=False),
            ),
            models.CheckConstraint(
                condition=models.Q(daily_from=None, daily_to=None)
                | models.Q(daily_from__isnull=False, daily_to__isnull=False),
                name="price_hours_whole",
            ),
            models.CheckConstraint(
                condition=models.Q(amount__gte=0), name="price_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.amount} {self.currency} a {self.unit}"

    @property
    def amount_text(self) -> str:
        """The amount without trailing zeros."""
        return f"{self.amount.normalize():f}"

    @property
    def million(self) -> Decimal:
        """What a million units cost."""
        return self.amount * 1_000_000
