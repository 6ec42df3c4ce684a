"""Reads of versions and drafts of the rules."""

from django.db.models import QuerySet

from core.errors import NotFound
from policy.models import PolicyDraft, PolicyVersion


def versions() -> QuerySet[PolicyVersion]:
    """Every version without its rules, newest first."""
    return PolicyVersion.objects.defer("rules").order_by("-number")


def version(number: int) -> PolicyVersion:
    """One version with its rules. Raises NotFound."""
    found = PolicyVersion.objects.filter(number=number).first()
    if found is None:
        raise NotFound(f"There is no version {number} of the rules.")
    return found


def drafts(*, only_open: bool = False) -> QuerySet[PolicyDraft]:
    """Drafts without their rules, newest first."""
    found = PolicyDraft.objects.defer("rules").order_by("-pk")
    states = (PolicyDraft.State.OPEN, PolicyDraft.State.PROPOSED)
    return found.filter(state__in=states) if only_open else found


def draft(uid: str) -> PolicyDraft:
    """One draft with its rules. Raises NotFound."""
    found = PolicyDraft.objects.filter(uid=uid).first()
    if found is None:
        raise NotFound("There is no such draft.")
    return found


def author_of(uid: str) -> str:
    """Who began a draft; empty where there is none."""
    rows = PolicyDraft.objects.filter(uid=uid)
    return rows.values_list("author", flat=True).first() or ""
