"""The append-only trail: each event is a snapshot that depends on no other row."""

from datetime import date

from django.db import models

from core.secrets import unseal


def _by_text(
    field: str, name: str = "", *, condition: models.Q | None = None
) -> models.Index:
    """An index that finds a text and its start (LIKE 'crm.%') in any collation."""
    return models.Index(
        fields=[field, "-at", "-id"],
        name=f"event_{name or field}",
        opclasses=["varchar_pattern_ops", "timestamptz_ops", "int8_ops"],
        condition=condition,
    )


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
        # Newest first, as the explorer reads; two more are PostgreSQL's alone:
        # event_words (full text) and event_ids (request, trace and key).
        indexes = [
            models.Index(fields=["-at", "-id"], name="event_at"),
            _by_text("name"),
            _by_text("actor_id", "actor"),
            models.Index(fields=["team", "-at", "-id"], name="event_team"),
            _by_text("tool", condition=models.Q(tool__gt="")),
            models.Index(
                fields=["run", "id"], name="event_run", condition=~models.Q(run="")
            ),
            models.Index(
                fields=["target_id", "-at", "-id"],
                name="event_tgt",
                condition=~models.Q(target_id=models.F("tool")),
            ),
            models.Index(
                fields=["-at", "-id"],
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


class Sink(models.Model):
    """A receiver that is told of every sealed event, at least once and in order.

    ``cursor`` is the next index to deliver, ``anchored`` the size of the last
    checkpoint that was. ``secret`` holds the sealed secrets by name. ``failures`` are
    those in a row, since ``failing_since``; ``retry_at`` is the end of the pause.
    """

    name = models.CharField(max_length=60, unique=True)
    kind = models.CharField(max_length=10)
    form = models.CharField(max_length=10)
    options = models.JSONField(default=dict)
    secret = models.BinaryField(null=True)
    enabled = models.BooleanField(default=True)
    cursor = models.BigIntegerField(default=0)
    anchored = models.BigIntegerField(default=0)
    delivered = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)
    last_failed_at = models.DateTimeField(null=True)
    last_delivered_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    @property
    def owner(self) -> str:
        """What its sealed secrets are bound to."""
        return f"audit_sink:{self.pk}"

    @property
    def secrets(self) -> dict[str, str]:
        """The secrets in clear; for transports alone. Raises SealBroken."""
        if not self.secret:
            return {}
        opened: dict[str, str] = unseal(bytes(self.secret), owner=self.owner)
        return opened


class DeadLetter(models.Model):
    """An event or checkpoint that a sink refused while it took others.

    It holds all that is needed to send it again, also when its month was dropped.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        QUEUED = "queued"
        DELIVERED = "delivered"

    sink = models.ForeignKey(Sink, on_delete=models.PROTECT, related_name="dead")
    position = models.BigIntegerField()
    uid = models.CharField(max_length=60)
    at = models.DateTimeField()
    name = models.CharField(max_length=60)
    summary = models.CharField(max_length=400)
    body = models.TextField()
    hash = models.CharField(max_length=64)
    error = models.CharField(max_length=300)
    attempts = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=State.choices, default="waiting")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "audit_deadletter"
        constraints = [
            models.UniqueConstraint(fields=["sink", "uid"], name="deadletter_once")
        ]
        indexes = [
            models.Index(
                fields=["sink", "id"],
                name="deadletter_open",
                condition=~models.Q(state="delivered"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.uid} {self.state}"


class SavedView(models.Model):
    """A filter of the explorer under a name, for its owner or for all who may look."""

    name = models.CharField(max_length=60)
    owner = models.CharField(max_length=160)
    query = models.CharField(max_length=2_000)
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="view_of_an_owner")
        ]

    def __str__(self) -> str:
        return self.name


class Hold(models.Model):
    """Months that may not be dropped while it is not lifted; ``last`` None has no end.

    Both are first days of months.
    """

    title = models.CharField(max_length=100)
    reason = models.CharField(max_length=400)
    first = models.DateField()
    last = models.DateField(null=True)
    set_by = models.CharField(max_length=200)
    set_at = models.DateTimeField()
    lifted_by = models.CharField(max_length=200, blank=True)
    lifted_at = models.DateTimeField(null=True)
    lifted_because = models.CharField(max_length=400, blank=True)

    def __str__(self) -> str:
        return self.title

    def covers(self, month: date) -> bool:
        """Whether that month may not be dropped for it."""
        within = self.first <= month and (self.last is None or month <= self.last)
        return within and self.lifted_at is None


class MonthExport(models.Model):
    """A file with all events of a month; ``leaves`` is the digest of their leaves."""

    month = models.DateField(db_index=True)
    file = models.CharField(max_length=400)
    sha256 = models.CharField(max_length=64)
    bytes = models.BigIntegerField()
    events = models.BigIntegerField()
    leaves = models.CharField(max_length=64)
    at = models.DateTimeField()
    by = models.CharField(max_length=200)

    class Meta:
        db_table = "audit_export"

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} in {self.file}"


class Tombstone(models.Model):
    """What is left of a month that was dropped; ``note`` is the same, signed.

    Only the database's own function writes it, with the act itself.
    """

    month = models.DateField(unique=True)
    events = models.BigIntegerField()
    first_index = models.BigIntegerField(null=True)
    last_index = models.BigIntegerField(null=True)
    leaves = models.CharField(max_length=64)
    export_file = models.CharField(max_length=400)
    export_sha256 = models.CharField(max_length=64)
    at = models.DateTimeField()
    by = models.CharField(max_length=200)
    reason = models.CharField(max_length=400)
    note = models.TextField()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m} was dropped"
