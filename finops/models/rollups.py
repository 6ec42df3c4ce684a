"""Sums and sketches by day, made from raw facts; docs/adr/0019 says why so."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from finops.models.ledger import Snapshot

EVERY_TEAM = "*"


class DayFigures(Snapshot):
    """The sums of a day of the report's zone, by every dimension.

    Three levels: rows without a server count whole runs and what belongs to none; with
    one, the runs that called it; with a tool, those that called that tool. Columns are
    those of ``finops.selectors.measures``. ``thin`` rows add up those of a team, server
    and tool: few, for reports that ask for nothing else.
    """

    day = models.DateField()
    mode = models.CharField(max_length=10, blank=True)
    language = models.CharField(max_length=20, blank=True)
    model = models.CharField(max_length=100, blank=True)
    server = models.CharField(max_length=200, blank=True)
    tool = models.CharField(max_length=200, blank=True)
    thin = models.BooleanField()
    runs = models.BigIntegerField()
    failed = models.BigIntegerField()
    cancelled = models.BigIntegerField()
    avoided = models.BigIntegerField()
    actions = models.BigIntegerField()
    unrated = models.BigIntegerField()
    tried = models.BigIntegerField()
    first_try = models.BigIntegerField()
    tasks = models.BigIntegerField()
    completed_tasks = models.BigIntegerField()
    abandoned_tasks = models.BigIntegerField()
    pending_tasks = models.BigIntegerField()
    measured_tasks = models.BigIntegerField()
    reported_tasks = models.BigIntegerField()
    task_tokens = models.BigIntegerField()
    loose_tokens = models.BigIntegerField()
    cost = models.DecimalField(max_digits=28, decimal_places=12)
    newest = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["day"], name="dayfig_thin", condition=Q(thin=True)),
            models.Index(
                fields=["day"],
                name="dayfig_thin_whole",
                condition=Q(thin=True, server=""),
            ),
            models.Index(
                fields=["day"],
                name="dayfig_whole",
                condition=Q(thin=False, server=""),
            ),
            models.Index(
                fields=["day"],
                name="dayfig_server",
                condition=Q(thin=False) & ~Q(server="") & Q(tool=""),
            ),
            models.Index(
                fields=["day"],
                name="dayfig_tool",
                condition=Q(thin=False) & ~Q(tool=""),
            ),
            models.Index(fields=["day", "team"], name="dayfig_team"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.team}"


class DaySketch(models.Model):
    """How long a team's runs of a day took, as a DDSketch (finops.sketch).

    ``dimension`` is "" for all runs of the team, or one whose ``key`` they share. The
    rows of EVERY_TEAM are those of all teams merged. Next to each bin stand how many
    runs are in it, and the sums of their parts in microseconds.
    """

    day = models.DateField()
    team = models.CharField(max_length=40)
    dimension = models.CharField(max_length=20, blank=True)
    key = models.CharField(max_length=200, blank=True)
    bins = ArrayField(models.IntegerField())
    counts = ArrayField(models.BigIntegerField())
    queue = ArrayField(models.BigIntegerField())
    hold = ArrayField(models.BigIntegerField())
    run = ArrayField(models.BigIntegerField())

    class Meta:
        indexes = [
            models.Index(fields=["dimension", "day", "team"], name="daysketch_read"),
            models.Index(fields=["day", "team"], name="daysketch_write"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.team} {self.dimension} {self.key}"


class DirtyDay(models.Model):
    """A team's day that was over when something of it changed: an entry a change."""

    day = models.DateField()
    team = models.CharField(max_length=40)

    def __str__(self) -> str:
        return f"{self.day} {self.team}"


class RollupState(models.Model):
    """Which days are made: ``first`` to before ``upto``, in ``zone``. One row."""

    zone = models.CharField(max_length=60)
    first = models.DateField(null=True)
    upto = models.DateField(null=True)

    def __str__(self) -> str:
        return f"{self.first} to {self.upto} {self.zone}"
