"""What people and CI systems note on the time line of the reports."""

from django.db import models


class Annotation(models.Model):
    """A deployment, or a note, at a moment. ``team`` is "" for the whole organization.

    ``external_id`` makes a second post of the same deployment harmless.
    """

    class Kind(models.TextChoices):
        DEPLOYMENT = "deployment"
        NOTE = "note"

    uid = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=12, choices=Kind.choices)
    text = models.CharField(max_length=200)
    team = models.CharField(max_length=40, blank=True)
    link = models.CharField(max_length=500, blank=True)
    external_id = models.CharField(max_length=120, blank=True)
    author = models.CharField(max_length=160)
    author_label = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["at", "id"], name="annotation_at")]
        constraints = [
            models.UniqueConstraint(
                fields=["team", "external_id"],
                name="annotation_once",
                condition=~models.Q(external_id=""),
            )
        ]

    def __str__(self) -> str:
        return self.text
