"""Reports read from the trail itself: privileged changes, and what was denied."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse

from audit.conditions import by_actor
from audit.models import Event
from gateway.selectors.audit_reports import parts
from gateway.selectors.audit_reports.parts import (
    Asked,
    ByKey,
    Column,
    Figure,
    Filter,
    Found,
    Report,
    Row,
    Share,
    of_teams,
    within,
)
from gateway.selectors.audit_reports.privileged import AREAS, area_of, privileged

_MOST_SHARES = 6
MOST_EXAMINED = 5_000


def _events(asked: Asked) -> QuerySet[Event]:
    found = within(of_teams(Event.objects.all(), "team", asked), "at", asked)
    if asked["actor"]:
        found = found.filter(by_actor(asked["actor"]))
    return found


def _tool(text: str) -> Q:
    if text.endswith("*"):
        return Q(tool__startswith=text[:-1])
    return Q(tool=text)


def _links(event: Event) -> dict[str, str]:
    links = {"event": reverse("event", args=[event.uid])}
    if event.run:
        links["run"] = reverse("run", args=[event.run])
    return links


def _counted(found: QuerySet[Event], column: str, name: str) -> list[Share]:
    """The most frequent values of a column; one query."""
    rows = (
        found.exclude(**{column: ""})
        .order_by()
        .values(column)
        .annotate(number=Count("pk"))
        .order_by("-number", column)
        .values_list(column, "number")
    )
    return [Share(value, n, {name: value}) for value, n in rows[:_MOST_SHARES]]


# Denied

_DENIED = (
    Column("at", "When", parts.AT, 1.2),
    Column("kind", "What", parts.TEXT, 1.2),
    Column("actor_label", "Who", width=1.4),
    Column("actor_id", "Actor", shown=False),
    Column("team", "Team"),
    Column("environment", "Environment", shown=False),
    Column("wanted", "Wanted", parts.CODE, 1.8),
    Column("reasons", "Because", width=3.4),
    Column("rules", "Rules", width=1.1),
    Column("run", "Run", parts.CODE, 1.3),
    Column("step", "Step", parts.NUMBER, shown=False),
    Column("event", "Event", parts.CODE, 1.5),
)
_IN_FAVOUR = frozenset({"grant", "scope", "environment"})
_WHAT = {
    "approval.decided": "approval, rejected",
    "call.refused": "call",
    "run.refused": "run",
    "scope.refused": "scope of a key",
    "access.denied": "page or address",
    "key.refused": "key",
    "session.sign_in_failed": "sign-in",
    "session.sign_in_throttled": "sign-in",
    "approval.refused": "decision on an approval",
    "approval.answer_refused": "answer to an approval",
    "policy.publish_refused": "publishing rules",
}


def _denials(asked: Asked) -> QuerySet[Event]:
    found = _events(asked).filter(decision="deny")
    if asked["what"]:
        found = found.filter(name=asked["what"])
    if asked["tool"]:
        found = found.filter(_tool(asked["tool"]))
    if asked["rule"]:
        found = found.filter(body__contains=json.dumps(asked["rule"]))
    if asked["reason"]:
        found = found.filter(body__contains=json.dumps(asked["reason"])[1:-1])
    return found


def denied(asked: Asked) -> Found:
    """What was refused in the period; five queries."""
    found = _denials(asked)
    sums = found.aggregate(
        denied=Count("pk"),
        calls=Count("pk", filter=Q(name="call.refused")),
        people=Count("actor_id", distinct=True),
        teams=Count("team", distinct=True, filter=~Q(team="")),
    )
    reasons, rules = _said(found)
    note = ""
    if sums["denied"] > MOST_EXAMINED:
        note = f"Reasons and rules are counted over the newest {MOST_EXAMINED:,}."
    return Found(
        figures=[
            Figure("denied", "Denied", sums["denied"]),
            Figure(
                "calls", "Calls of tools", sums["calls"], query={"what": "call.refused"}
            ),
            Figure("actors", "Who was refused", sums["people"]),
            Figure("teams", "Teams", sums["teams"]),
        ],
        listing=ByKey(found, _denied_rows),
        shares={
            "By reason": reasons,
            "By rule": rules,
            "By tool": _counted(found, "tool", "tool"),
            "By team": _counted(found, "team", "team"),
        },
        note=note,
    )


def _said(found: QuerySet[Event]) -> tuple[list[Share], list[Share]]:
    """Reasons and rules of the newest denials, the most frequent first."""
    reasons: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    bodies = found.order_by("-pk").values_list("body", flat=True)[:MOST_EXAMINED]
    for text in bodies:
        body = json.loads(text)
        # A rule's own reason is counted as the rule.
        said = _reasons(body)
        reasons.update({one for one in said if not one.startswith("rule ")})
        rules.update(set(_rules(body)))
    return (
        [
            Share(one, n, {"reason": one})
            for one, n in reasons.most_common(_MOST_SHARES)
        ],
        [Share(one, n, {"rule": one}) for one, n in rules.most_common(_MOST_SHARES)],
    )


def _reasons(body: Mapping[str, Any]) -> list[str]:
    """Why it was refused, without what was in its favour (a bare ``grant``)."""
    return [str(one) for one in body.get("reasons", ()) if one not in _IN_FAVOUR]


def _rules(body: Mapping[str, Any]) -> list[str]:
    rules = body.get("payload", {}).get("rules", ())
    return [str(one) for one in rules] if isinstance(rules, list) else []


def _denied_rows(events: Sequence[Event]) -> list[Row]:
    return [_denied_row(event) for event in events]


def _denied_row(event: Event) -> Row:
    body = json.loads(event.body)
    payload = body.get("payload", {})
    wanted = event.tool or payload.get("path") or payload.get("method")
    links = _links(event)
    if (
        event.tool
        and event.tool.count(".") == 1
        and event.tool.replace(".", "").isidentifier()
    ):
        links["wanted"] = f"{reverse('tools')}?q={event.tool}"
    return Row(
        (
            event.at,
            _WHAT.get(event.name, event.name),
            event.actor_label,
            event.actor_id,
            event.team,
            event.environment,
            str(wanted or event.target_label),
            "; ".join(_reasons(body)),
            ", ".join(_rules(body)),
            event.run,
            event.step,
            event.uid,
        ),
        links,
    )


DENIED = Report(
    "denied",
    "Denied calls",
    "What was refused, to whom, and by which grant, scope, rule or quota.",
    _DENIED,
    (
        Filter("team", "Team", choices=None, hint="sales"),
        Filter("tool", "Tool", hint="crm.*"),
        Filter("rule", "Rule", hint="big-refunds"),
        Filter("reason", "Reason", hint="words of it"),
        Filter("actor", "Who", hint="user:alice"),
        Filter("what", "What", choices=lambda: list(_WHAT.items())),
    ),
    denied,
    nothing="Nothing was denied in this period, or nothing that these filters leave.",
    about="Every refusal is on record: calls, runs, keys, scopes, pages, sign-ins.",
)

# Privileged changes

_CHANGES = (
    Column("at", "When", parts.AT, 1.2),
    Column("area", "Area", width=1),
    Column("name", "Event", parts.CODE, 1.4),
    Column("actor_label", "Who", width=1.3),
    Column("actor_id", "Actor", shown=False),
    Column("target", "What", width=1.8),
    Column("team", "Team", shown=False),
    Column("summary", "Change", width=3.4),
    Column("reason", "Reason", width=1.8),
    Column("before", "Before", shown=False),
    Column("after", "After", shown=False),
    Column("event", "Record", parts.CODE, 1.4),
)


def changes(asked: Asked) -> Found:
    """Changes that take more than everyday rights, in the period; four queries."""
    names = sorted(privileged())
    found = _events(asked).filter(name__in=names)
    if asked["area"]:
        found = found.filter(
            name__in=[one for one in names if area_of(one) == asked["area"]]
        )
    if asked["target"]:
        found = found.filter(
            Q(target_id=asked["target"]) | Q(target_label__icontains=asked["target"])
        )
    sums = found.aggregate(
        changes=Count("pk"),
        people=Count("actor_id", distinct=True, filter=Q(actor_kind="user")),
        system=Count("pk", filter=~Q(actor_kind="user")),
    )
    rows = found.order_by().values_list("name").annotate(number=Count("pk"))
    areas: Counter[str] = Counter()
    for name, number in rows:
        areas[area_of(name)] += number
    return Found(
        figures=[
            Figure("changes", "Changes", sums["changes"]),
            Figure("people", "By how many people", sums["people"]),
            Figure("others", "Not by a person", sums["system"]),
        ],
        listing=ByKey(found, _change_rows),
        shares={
            "By area": [
                Share(AREAS[area], number, {"area": area})
                for area, number in areas.most_common()
            ],
            "By person": _counted(found.filter(actor_kind="user"), "actor_id", "actor"),
        },
    )


def _change_rows(events: Sequence[Event]) -> list[Row]:
    return [_change_row(event) for event in events]


def _change_row(event: Event) -> Row:
    body = json.loads(event.body)
    reason = body.get("payload", {}).get("reason", "")
    return Row(
        (
            event.at,
            AREAS[area_of(event.name)],
            event.name,
            event.actor_label,
            event.actor_id,
            event.target_label or event.target_id,
            event.team,
            event.summary,
            str(reason),
            _json(body.get("before")),
            _json(body.get("after")),
            event.uid,
        ),
        _links(event),
    )


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


CHANGES = Report(
    "changes",
    "Privileged changes",
    "Who changed grants, keys, roles, rules and settings, and why.",
    _CHANGES,
    (
        Filter("area", "Area", choices=lambda: list(AREAS.items())),
        Filter("actor", "Who", hint="user:alice"),
        Filter("target", "What", hint="crm"),
    ),
    changes,
    nothing="No privileged change was made in this period that these filters leave.",
    about="Every kind of event counts as privileged unless it is known to be everyday.",
)
