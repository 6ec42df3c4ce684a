"""Notes days that were over when something of them changed, to be made again.

A day is made an hour after its end; what changes in the half hour after it needs no
note, since no transaction takes the other half to commit.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings

from core.clock import now
from finops.models import DirtyDay

LATE_AFTER = timedelta(minutes=30)
MADE_AFTER = timedelta(hours=1)
# Of the rows of ``changed (team, at)``; %(zone)s is the report's.
NOTE = f"""
INSERT INTO finops_dirtyday (day, team)
SELECT DISTINCT (at AT TIME ZONE %(zone)s::text)::date, team FROM changed
WHERE (at AT TIME ZONE %(zone)s::text)::date < (
  (clock_timestamp() - interval '{int(LATE_AFTER.total_seconds())} s')
  AT TIME ZONE %(zone)s::text)::date
"""  # noqa: S608 - a number


def note(changed: Iterable[tuple[str, datetime]]) -> None:
    """Note the days of what changed, as teams and times, in the same transaction."""
    zone = ZoneInfo(settings.REPORT_TIME_ZONE)
    today = (now() - LATE_AFTER).astimezone(zone).date()
    days = {(at.astimezone(zone).date(), team) for team, at in changed}
    DirtyDay.objects.bulk_create(
        DirtyDay(day=day, team=team) for day, team in sorted(days) if day < today
    )
