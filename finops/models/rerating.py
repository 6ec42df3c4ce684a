"""A re-rating as somebody asked for it: what it would change, then how far it is."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Rerating(models.Model):
    """Usage of a period to be priced anew, looked at first.

    ``newest`` is the largest ledger id when it was looked at, and ``stamp`` the price
    book's: only those rows are priced anew, by just that book. ``digest`` names the
    changes found, ``last`` is the ledger id reached. ``teams`` None is every team.
    """

    class State(models.TextChoices):
        LOOKING = "looking"
        LOOKED = "looked", "Looked at"
        WORKING = "working"
        DONE = "done"
        STALE = "stale", "Overtaken"

    uid = models.CharField(max_length=40, unique=True)
    start = models.DateTimeField()
    end = models.DateTimeField()
    sku = models.CharField(max_length=200, blank=True)
    teams = ArrayField(models.CharField(max_length=40), null=True)
    state = models.CharField(max_length=10, choices=State.choices)
    stamp = models.CharField(max_length=200, blank=True)
    newest = models.BigIntegerField(default=0)
    rows = models.PositiveBigIntegerField(default=0)
    digest = models.CharField(max_length=64, blank=True)
    result: Any = models.JSONField(default=list)
    last = models.BigIntegerField(default=0)
    passed = models.PositiveBigIntegerField(default=0)
    changed = models.PositiveBigIntegerField(default=0)
    reason = models.CharField(max_length=400, blank=True)
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=160)
    actor_label = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    alive_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.uid} {self.state}"

    @property
    def waits(self) -> bool:
        """Whether a worker is at it, or is to be."""
        return self.state in (self.State.LOOKING, self.State.WORKING)

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return 100 if not self.rows else min(100, 100 * self.passed // self.rows)
