"""Revisions: numbers that tell every process when its caches are stale."""

from collections.abc import Mapping

from django.db import models
from django.db.models import F

from core.prepared import prepared_cursor


class Revision(models.Model):
    """A counter that each change of its subject raises by one."""

    CATALOG = "catalog"
    POLICY = "policy"

    name = models.CharField(max_length=40, primary_key=True)
    number = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.name} {self.number}"


def revisions() -> Mapping[str, int]:
    """Every revision, in one query."""
    with prepared_cursor() as cursor:
        cursor.execute("SELECT name, number FROM core_revision")
        return dict(cursor.fetchall())


def raise_revision(name: str) -> int:
    """Raise ``name`` inside the running transaction and return the new number."""
    if not Revision.objects.filter(pk=name).update(number=F("number") + 1):
        Revision.objects.get_or_create(pk=name)
    return Revision.objects.values_list("number", flat=True).get(pk=name)
