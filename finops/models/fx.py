"""Exchange rates, one a month and currency, valid in knowledge."""

from django.db import models


class ExchangeRate(models.Model):
    """What one unit of ``currency`` is worth in ``base`` during a month.

    ``month`` is its first day, in the report's zone; ``base`` the organization's
    currency. A correction ends the knowledge of a row and adds one.
    """

    month = models.DateField()
    currency = models.CharField(max_length=3)
    base = models.CharField(max_length=3)
    rate = models.DecimalField(max_digits=28, decimal_places=12)
    source = models.CharField(max_length=100)
    known_from = models.DateTimeField()
    known_to = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["month", "currency", "base"],
                name="exchange_rate_known_once",
                condition=models.Q(known_to=None),
            ),
            models.CheckConstraint(
                condition=models.Q(rate__gt=0), name="exchange_rate_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(month__day=1), name="exchange_rate_month"
            ),
        ]

    def __str__(self) -> str:
        return f"1 {self.currency} = {self.rate} {self.base} in {self.month:%Y-%m}"

    @property
    def rate_text(self) -> str:
        """The rate without trailing zeros."""
        return f"{self.rate.normalize():f}"
