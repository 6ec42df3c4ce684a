"""Usage without a cost that people were told of."""

from django.db import models


class UnratedNotice(models.Model):
    """A SKU whose usage has no cost, told once; gone when it has one again."""

    sku = models.CharField(max_length=200)
    unit = models.CharField(max_length=60)
    told_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sku", "unit"], name="unrated_told_once")
        ]

    def __str__(self) -> str:
        return self.sku
