"""What guardian does not keep of a grant: since when, by whom, why, and its review."""

from django.db import models
from guardian.models import GroupObjectPermission


class GrantRecord(models.Model):
    """Goes with its grant. ``given_at`` is null where it was given by other means.

    ``reviewed_…`` say who last found that the grant is still wanted.
    """

    grant = models.OneToOneField(
        GroupObjectPermission, on_delete=models.CASCADE, related_name="record"
    )
    given_at = models.DateTimeField(null=True)
    given_by = models.CharField(max_length=160, blank=True)
    given_label = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    reviewed_at = models.DateTimeField(null=True)
    reviewed_by = models.CharField(max_length=160, blank=True)
    reviewed_label = models.CharField(max_length=200, blank=True)
    review_reason = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"record of grant {self.grant_id}"
