"""The append-only trail: each event is a snapshot that depends on no other row."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models


class EventQuerySet(models.QuerySet["Event"]):
    def newest_first(self) -> "EventQuerySet":
        return self.order_by("-id")


class Event(models.Model):
    """One thing that happened, or was refused. Rows are never changed or removed.

    ``body`` is RFC 8785 canonical JSON of the whole event; the columns beside it
    exist to search by. The table is partitioned by the month of ``at``; its key in
    PostgreSQL is (id, at), and a column ``xid`` names the writing transaction.
    """

    id = models.BigAutoField(primary_key=True)
    uid = models.CharField(max_length=40)
    at = models.DateTimeField()
    name = models.CharField(max_length=60)
    decision = models.CharField(max_length=10, blank=True)
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=160)
    actor_label = models.CharField(max_length=200)
    team = models.CharField(max_length=60, blank=True)
    environment = models.CharField(max_length=40, blank=True)
    key = models.CharField(max_length=40, blank=True)
    target_kind = models.CharField(max_length=30, blank=True)
    target_id = models.CharField(max_length=120, blank=True)
    target_label = models.CharField(max_length=200, blank=True)
    tool = models.CharField(max_length=200, blank=True)
    run = models.CharField(max_length=40, blank=True)
    step = models.IntegerField(null=True)
    request_id = models.CharField(max_length=60, blank=True)
    trace_id = models.CharField(max_length=32, blank=True)
    client_address = models.CharField(max_length=60, blank=True)
    policy_version = models.IntegerField(null=True)
    summary = models.CharField(max_length=400)
    body = models.TextField()

    objects = EventQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["uid", "at"], name="event_uid")]
        indexes = [
            BrinIndex(
                fields=["at"], name="event_at", autosummarize=True, pages_per_range=32
            ),
            models.Index(fields=["name", "-id"], name="event_name"),
            models.Index(fields=["actor_id", "-id"], name="event_actor"),
            models.Index(fields=["team", "-id"], name="event_team"),
            models.Index(
                fields=["run", "id"], name="event_run", condition=~models.Q(run="")
            ),
            models.Index(fields=["target_kind", "target_id", "-id"], name="event_tgt"),
            models.Index(
                fields=["decision", "-id"],
                name="event_deny",
                condition=models.Q(decision="deny"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.uid} {self.name}"


class Leaf(models.Model):
    """An event's place in the tree. Its hash is that of the event's body alone."""

    index = models.BigIntegerField(primary_key=True)
    event_id = models.BigIntegerField(unique=True)
    event_at = models.DateTimeField()
    hash = models.BinaryField()

    def __str__(self) -> str:
        return f"leaf {self.index}"


class TreeNode(models.Model):
    """The hash of the ``index``-th 256 ** ``level`` leaves, for proofs in few reads."""

    pk = models.CompositePrimaryKey("level", "index")
    level = models.SmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField()

    def __str__(self) -> str:
        return f"node {self.level}/{self.index}"


class Checkpoint(models.Model):
    """A signed statement of how many leaves there are and what they hash to.

    Every event of a transaction before ``horizon`` was sealed by then.
    """

    size = models.BigIntegerField(primary_key=True)
    root = models.BinaryField()
    note = models.TextField()
    at = models.DateTimeField(db_index=True)
    horizon = models.BigIntegerField()

    def __str__(self) -> str:
        return f"checkpoint of {self.size}"


class Verification(models.Model):
    """What one verification of the trail found, between two sizes of the tree."""

    kind = models.CharField(max_length=20)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    first = models.BigIntegerField()
    size = models.BigIntegerField()
    sealed_at = models.DateTimeField(null=True)
    events = models.BigIntegerField()
    integrity = models.CharField(max_length=12)
    completeness = models.CharField(max_length=12)
    anchoring = models.CharField(max_length=12)
    keys = models.JSONField()
    findings = models.JSONField()
    by = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.kind} verification up to {self.size}"

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended_at - self.started_at).total_seconds()
