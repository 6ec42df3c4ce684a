"""Saved reports and schedules that a person may see."""

from django.db.models import Q, QuerySet

from core.errors import NotFound
from finops.models import ReportSchedule, SavedReport
from policy.access import COSTS_ADMIN, COSTS_READ, Access


def visible_reports(access: Access) -> QuerySet[SavedReport]:
    """One's own, and those shared with a team that one reads the costs of."""
    own = Q(owner=f"user:{access.username}")
    teams = access.teams_for(COSTS_READ)
    shared = ~Q(team="") if teams is None else Q(team__in=sorted(teams))
    return SavedReport.objects.filter(own | shared).order_by("name", "pk")


def visible_report(access: Access, uid: str) -> SavedReport:
    """One of them. Raises NotFound."""
    found = visible_reports(access).filter(uid=uid).first()
    if found is None:
        raise NotFound("There is no such saved report that you may see.")
    return found


def visible_schedules(access: Access) -> QuerySet[ReportSchedule]:
    """One's own; finance and administrators see every one."""
    found = ReportSchedule.objects.select_related("view").order_by("view__name", "pk")
    if access.everywhere(COSTS_ADMIN):
        return found
    return found.filter(owner=f"user:{access.username}")
