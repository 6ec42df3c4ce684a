"""Finds the task that a new run is an attempt at. docs/metrics.md says how."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from core.errors import Invalid
from core.ids import new_id
from core.prepared import prepared_cursor
from gateway.models import Task
from policy.principal import Principal

_MOST = 200
# The row is locked by its change, so that attempts are numbered without gaps. A task
# belongs to one principal: nobody joins that of another.
_JOIN = """
INSERT INTO gateway_task AS t (
  uid, label, trace_id, session, principal, team, attempts, created_at, joined_at)
VALUES (%(uid)s, %(label)s, %(trace_id)s, %(session)s, %(principal)s, %(team)s, 1,
  %(at)s, %(at)s)
{conflict}
RETURNING t.id, t.uid, t.attempts
"""
_AGAIN = """ON CONFLICT (principal, {by}) WHERE NOT ({by} = '')
DO UPDATE SET attempts = t.attempts + 1, joined_at = greatest(t.joined_at, %(at)s)"""
_STATEMENTS = {
    by: _JOIN.format(conflict=by and _AGAIN.format(by=by))
    for by in ("", "label", "trace_id", "session")
}
# What was idle for too long is over: the next run of the session begins another.
_LEAVE = """
UPDATE gateway_task SET session = ''
WHERE principal = %(principal)s AND NOT (session = '') AND session = %(session)s
  AND joined_at < %(since)s
"""


def join_task(principal: Principal, label: str, at: datetime) -> Task:
    """The task of a new run, with that run counted.

    By its name where the agent gave one, else by the trace of the request, else by the
    client's session while that pauses no longer than TOLLGATE_TASK_IDLE_SECONDS; a run
    without any is a task of its own. Raises Invalid.
    """
    if len(label) > _MOST or "\x00" in label:
        raise Invalid(f"A task name has at most {_MOST} printable characters.")
    by = {"label": label} if label else {"trace_id": principal.trace_id}
    if not any(by.values()):
        by = {"session": principal.session}
    values: dict[str, Any] = {
        "uid": new_id("task"),
        **dict.fromkeys(("label", "trace_id", "session"), ""),
        **by,
        "principal": principal.id,
        "team": principal.team,
        "at": at,
    }
    [(name, value)] = by.items()
    with prepared_cursor() as cursor:
        if values["session"]:
            idle = timedelta(seconds=settings.TASK_IDLE_SECONDS)
            cursor.execute(_LEAVE, values | {"since": at - idle})
        cursor.execute(_STATEMENTS[name if value else ""], values)
        pk, uid, attempts = cursor.fetchone()
    return Task(
        pk=pk,
        uid=uid,
        label=label,
        principal=principal.id,
        team=principal.team,
        attempts=attempts,
        created_at=at,
        joined_at=at,
    )
