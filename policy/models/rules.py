"""Rule sets: immutable versions, and the drafts that become them."""

from django.db import models


class PolicyVersion(models.Model):
    """A rule set that was published; the highest number is live. Rows never change.

    ``base`` is the version it was drafted on, ``second_by`` the person who published
    what others had written.
    """

    number = models.PositiveIntegerField(unique=True)
    rules = models.JSONField()
    digest = models.CharField(max_length=64)
    reason = models.CharField(max_length=400)
    base = models.PositiveIntegerField()
    draft = models.CharField(max_length=40)
    author = models.CharField(max_length=160)
    author_label = models.CharField(max_length=200)
    published_by = models.CharField(max_length=160)
    published_label = models.CharField(max_length=200)
    published_at = models.DateTimeField()
    second_by = models.CharField(max_length=160, blank=True)

    def __str__(self) -> str:
        return f"version {self.number}"


class PolicyDraft(models.Model):
    """Rules being written. ``authors`` are all who changed them, by actor id.

    ``revision`` is raised by each change, so that two people do not overwrite one
    another's work unseen; ``version`` is what it became.
    """

    class State(models.TextChoices):
        OPEN = "open"
        PROPOSED = "proposed"
        PUBLISHED = "published"
        DISCARDED = "discarded"

    uid = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    base = models.PositiveIntegerField()
    rules = models.JSONField(default=list)
    revision = models.PositiveIntegerField(default=1)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    author = models.CharField(max_length=160)
    author_label = models.CharField(max_length=200)
    authors = models.JSONField(default=list)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    reason = models.CharField(max_length=400, blank=True)
    proposed_label = models.CharField(max_length=200, blank=True)
    proposed_at = models.DateTimeField(null=True)
    version = models.PositiveIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["state", "-id"], name="draft_state")]

    def __str__(self) -> str:
        return f"{self.name} ({self.uid})"

    @property
    def is_open(self) -> bool:
        """Whether it may still be changed, proposed and published."""
        return self.state in (self.State.OPEN, self.State.PROPOSED)


class Organisation(models.Model):
    """What holds for all of this installation: one row."""

    two_person_publish = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="organisation_once")
        ]

    def __str__(self) -> str:
        return "organisation"
