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
