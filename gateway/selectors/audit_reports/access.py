"""Access review: every grant, since when, by whom, and when it was last used."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import TextChoices
from django.urls import reverse

from gateway.models import ToolUseMark
from gateway.selectors.audit_reports import parts
from gateway.selectors.audit_reports.parts import (
    UNUSED_DAYS,
    Asked,
    Column,
    Figure,
    Filter,
    Found,
    InOrder,
    Report,
    Row,
)
from policy.holders import Holder, parse

_FETCHED = 2_000
EVERYWHERE = "every environment"
_COLUMNS = (
    Column("holder", "Team or role", width=1.4),
    Column("subject", "May call", parts.CODE, 2),
    Column("environment", "In", width=1.3),
    Column("given_at", "Since", parts.AT, 1.3),
    Column("given_by", "Granted by", width=1.3),
    Column("given_by_id", "Granter", shown=False),
    Column("reason", "Because", width=2),
    Column("use", "Use", parts.STATE, 1.2),
    Column("last_used_at", "Last used", parts.AT, 1.3),
    Column("reviewed_at", "Reviewed", parts.AT, 1.3),
    Column("reviewed_by", "By", width=1.2),
    Column("review_reason", "Review", shown=False),
)

# The uses are turned into the very grants that cover them: of the team, and of each
# role that the person holds; in every environment and in this one; on the server, the
# tool and its tags. So each grant finds its last use by equality.
_GRANTS = """
WITH held AS (
  SELECT permission.id, permission.object_pk, codename.codename, holder.name AS holder,
    split_part(split_part(holder.name, '@', 1), ':', 2) AS named,
    split_part(holder.name, '@', 2) AS environment,
    CASE codename.codename WHEN 'call_tag' THEN 'tag:' || permission.object_pk
      WHEN 'call_server' THEN 'server:' || server.name
      ELSE 'tool:' || owner.name || '.' || tool.name END AS subject
  FROM guardian_groupobjectpermission permission
  JOIN auth_group holder ON holder.id = permission.group_id
    AND holder.name ~ '^(team|role):'
  JOIN auth_permission codename ON codename.id = permission.permission_id
  JOIN django_content_type kind ON kind.id = codename.content_type_id
    AND kind.app_label = 'gateway'
  LEFT JOIN gateway_server server ON codename.codename = 'call_server'
    AND server.id::text = permission.object_pk
  LEFT JOIN gateway_tool tool ON codename.codename = 'call_tool'
    AND tool.id::text = permission.object_pk
  LEFT JOIN gateway_server owner ON owner.id = tool.server_id
), stands AS (
  SELECT tool, environment, last_at, 'team:' || team AS holder FROM gateway_tooluse
  WHERE %(team)s = '' OR team = %(team)s
  UNION ALL
  SELECT used.tool, used.environment, used.last_at, 'role:' || membership.role
  FROM gateway_tooluse used
  JOIN policy_user person ON used.principal = 'user:' || person.username
  JOIN policy_membership membership ON membership.user_id = person.id
  JOIN policy_team team ON team.id = membership.team_id
  WHERE %(team)s = ''
    AND (membership.role IN ('admin', 'auditor', 'finance') OR team.slug = used.team)
), used AS (
  SELECT stands.holder || place.suffix AS holder, covers.codename, covers.object_pk,
    max(stands.last_at) AS last_at
  FROM stands
  JOIN gateway_server server ON server.name = split_part(stands.tool, '.', 1)
  JOIN gateway_tool tool ON tool.server_id = server.id
    AND tool.name = substring(stands.tool FROM position('.' IN stands.tool) + 1)
  CROSS JOIN LATERAL (VALUES (''), ('@' || stands.environment)) AS place(suffix)
  CROSS JOIN LATERAL (
    VALUES ('call_server', server.id::text), ('call_tool', tool.id::text)
    UNION ALL SELECT 'call_tag', jsonb_array_elements_text(tool.tags)
  ) AS covers(codename, object_pk)
  GROUP BY 1, 2, 3
), found AS (
  SELECT held.id, held.holder, held.environment, held.subject, used.last_at,
    record.given_at, record.given_by, record.given_label, record.reason,
    record.reviewed_at, record.reviewed_label, record.review_reason
  FROM held
  LEFT JOIN used USING (holder, codename, object_pk)
  LEFT JOIN policy_grantrecord record ON record.grant_id = held.id
  WHERE held.subject IS NOT NULL
    AND (%(all_teams)s OR holder LIKE 'role:%%' OR held.named = ANY(%(teams)s))
    AND (%(team)s = '' OR (holder LIKE 'team:%%' AND held.named = %(team)s))
    AND (%(role)s = '' OR (holder LIKE 'role:%%' AND held.named = %(role)s))
    AND (%(environment)s = '' OR held.environment IN ('', %(environment)s))
    AND (%(subject)s = '' OR strpos(held.subject, %(subject)s) > 0)
)
"""
_KEPT = """
(%(use)s = '' OR (%(use)s = 'never' AND last_at IS NULL)
    OR (%(use)s = 'unused' AND last_at < %(since)s)
    OR (%(use)s = 'used' AND last_at >= %(since)s))
  AND (%(review)s = ''
    OR (%(review)s = 'due' AND (reviewed_at IS NULL OR reviewed_at < %(since)s))
    OR (%(review)s = 'done' AND reviewed_at >= %(since)s))
"""
_FIGURES = f"""
{_GRANTS} SELECT count(*), count(DISTINCT split_part(holder, '@', 1)),
  count(*) FILTER (WHERE last_at IS NULL), count(*) FILTER (WHERE last_at < %(since)s),
  count(*) FILTER (WHERE reviewed_at IS NULL OR reviewed_at < %(since)s),
  count(*) FILTER (WHERE {_KEPT}) FROM found
"""  # noqa: S608 - own text, no value in it
# By bytes, so that very many are sorted fast.
_WHOLE = f"""
{_GRANTS} SELECT id, holder, subject, given_at, given_label, given_by, reason,
  last_at, reviewed_at, reviewed_label, review_reason FROM found
WHERE {_KEPT} ORDER BY holder COLLATE "C", subject COLLATE "C", id
"""  # noqa: S608 - as above
_PAGE = f"{_WHOLE} OFFSET %(start)s LIMIT %(most)s"
_NAMED = f"""
{_GRANTS} SELECT id, holder, subject FROM found WHERE id = ANY(%(ids)s)
"""  # noqa: S608 - as above


class Use(TextChoices):
    """What became of a grant."""

    NEVER = "never", "Never used"
    UNUSED = "unused", f"Unused for {UNUSED_DAYS} days"
    USED = "used", "Used since"


_REVIEWS = (
    ("due", f"Not within {UNUSED_DAYS} days"),
    ("done", f"Within {UNUSED_DAYS} days"),
)


def access(asked: Asked) -> Found:
    """Grants as they stand, by holder and what may be called; two queries."""
    values = _values(asked)
    ((grants, holders, never, unused, due, kept),) = _query(_FIGURES, values)
    return Found(
        figures=[
            Figure("grants", "Grants", grants),
            Figure("holders", "Teams and roles", holders),
            Figure("never_used", "Never used", never, query={"use": "never"}),
            Figure("unused", str(Use.UNUSED.label), unused, query={"use": "unused"}),
            Figure("review_due", "To be reviewed", due, query={"review": "due"}),
        ],
        listing=InOrder(
            lambda: kept,
            lambda start, stop: _rows(asked, values, start, stop),
            lambda: (_row(one, asked.unused_since) for one in _stream(values)),
        ),
        note=_freshness(),
    )


def named(asked: Asked, ids: Sequence[int]) -> dict[int, tuple[Holder, str]]:
    """Holder and subject of grants that may be seen, by their keys; one query."""
    values = _values(asked) | {"ids": list(ids)}
    return {
        pk: (known, subject)
        for pk, holder, subject in _query(_NAMED, values)
        if (known := parse(holder))
    }


def _values(asked: Asked) -> dict[str, Any]:
    filters = ("team", "role", "environment", "subject", "use", "review")
    return {name: asked[name] for name in filters} | {
        "all_teams": asked.teams is None,
        "teams": sorted(asked.teams or ()),
        "since": asked.unused_since,
    }


def _query(statement: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _stream(values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """All of them by one statement, fetched in parts."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(_WHOLE, values)
        while rows := cursor.fetchmany(_FETCHED):
            yield from rows


def _rows(asked: Asked, values: Mapping[str, Any], start: int, stop: int) -> list[Row]:
    part = {"start": start, "most": stop - start}
    return [_row(one, asked.unused_since) for one in _query(_PAGE, {**values, **part})]


def _row(one: tuple[Any, ...], since: datetime) -> Row:
    pk, group, subject, given_at, label, giver, reason, last_at, *review = one
    holder = parse(group) or Holder("", group)
    use = Use.NEVER if last_at is None else Use.UNUSED if last_at < since else Use.USED
    query = f"?holder={holder.kind}:{holder.name}"
    if holder.environment:
        query += f"&environment={holder.environment}"
    return Row(
        (
            f"{holder.kind} {holder.name}",
            subject,
            holder.environment or EVERYWHERE,
            given_at,
            label or "",
            giver or "",
            reason or "",
            str(use.label),
            last_at,
            review[0],
            review[1] or "",
            review[2] or "",
        ),
        {"holder": f"{reverse('access_reach')}{query}"},
        key=str(pk),
    )


def _freshness() -> str:
    mark = ToolUseMark.objects.first()
    if mark is None or mark.read_at is None:
        return "No call was read yet, so nothing counts as used."
    return f"Uses are known up to about {mark.read_at:%Y-%m-%d %H:%M} UTC."


def _roles() -> list[tuple[str, str]]:
    return [
        (name, name) for name in ("member", "approver", "auditor", "finance", "admin")
    ]


ACCESS = Report(
    "access",
    "Access review",
    "Who may call what, since when and by whose grant, and whether they do.",
    _COLUMNS,
    (
        Filter("team", "Team"),
        Filter("role", "Role", choices=_roles),
        Filter("environment", "Environment"),
        Filter("subject", "May call", hint="server:crm"),
        Filter("use", "Use", choices=lambda: list(Use.choices)),
        Filter("review", "Reviewed", choices=lambda: list(_REVIEWS)),
    ),
    access,
    nothing="No grant is left by these filters.",
    about="A grant counts as used when anything it covers was called by those who hold "
    "it; a grant to a role, by people who are in the role now.",
    dated=False,
    ticks=True,
)
