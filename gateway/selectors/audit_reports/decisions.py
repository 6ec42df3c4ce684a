"""Reports on what people decided: approvals, and calls with unknown outcomes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from statistics import median
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet, prefetch_related_objects
from django.urls import reverse

from audit.models import Event
from gateway import events
from gateway.models import ToolCall
from gateway.selectors import outcomes
from gateway.selectors.approval_figures import in_all
from gateway.selectors.approvals import in_state, state_of
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
    of_teams,
    within,
)
from policy.models import Approval

_MOST_EXAMINED = 2_000


def _events_on(kind: str, uid: str) -> str:
    query = {"target_kind": kind, "target": uid, "period": "all"}
    return f"{reverse('audit')}?{urlencode(query)}"


# Approvals

_APPROVALS = (
    Column("requested_at", "Asked", parts.AT, 1.2),
    Column("tool", "Tool", parts.CODE, 1.5),
    Column("team", "Team"),
    Column("environment", "Environment", width=1.3),
    Column("requesters", "Asked by", width=1.5),
    Column("because", "Because", width=2),
    Column("asks", "Had to agree", width=1.4),
    Column("rules", "Rules", shown=False),
    Column("state", "Outcome", parts.STATE),
    Column("decided_by", "Decided by", width=1.4),
    Column("decided_by_id", "Decider", shown=False),
    Column("decided_at", "Decided", parts.AT, 1.2),
    Column("seconds", "Took", parts.SECONDS),
    Column("reason", "Reason", width=1.6),
    Column("votes", "Votes", shown=False),
    Column("arguments_digest", "Arguments' digest", shown=False),
    Column("run", "Run", parts.CODE, 1.3),
    Column("step", "Step", parts.NUMBER, shown=False),
    Column("used_at", "Used", parts.AT, shown=False),
    Column("approval", "Approval", parts.CODE, shown=False),
)


def _approvals(asked: Asked) -> QuerySet[Approval]:
    found = within(
        of_teams(Approval.objects.all(), "team", asked), "requested_at", asked
    )
    if asked["environment"]:
        found = found.filter(environment=asked["environment"])
    if asked["tool"]:
        found = found.filter(tool=asked["tool"])
    if asked["state"]:
        found = in_state(found, asked["state"], at=asked.at)
    if person := asked["actor"]:
        name = person if ":" in person else f"user:{person}"
        found = found.filter(
            Q(decided_by=name)
            | Q(decided_label__icontains=person)
            | Q(requesters__contains=[name])
        )
    return found


def approvals(asked: Asked) -> Found:
    """Approvals that were asked for in the period; two queries, and two a batch."""
    found = _approvals(asked)
    all_of = in_all(found)
    return Found(
        figures=[
            Figure("asked", "Asked", all_of.asked),
            Figure("approved", "Approved", all_of.approved),
            Figure(
                "rejected", "Rejected", all_of.rejected, query={"state": "rejected"}
            ),
            Figure("expired", "Expired", all_of.expired, query={"state": "expired"}),
            Figure("open", "Open", all_of.open, query={"state": "pending"}),
            Figure("median_seconds", "Median to decide", all_of.median, parts.SECONDS),
            Figure("p95_seconds", "p95 to decide", all_of.p95, parts.SECONDS),
        ],
        listing=ByKey(found, lambda rows: _approval_rows(rows, asked.at)),
    )


def _approval_rows(approvals: Sequence[Approval], at: datetime) -> list[Row]:
    prefetch_related_objects(approvals, "routes", "votes")
    return [_approval_row(approval, at) for approval in approvals]


def _approval_row(one: Approval, at: datetime) -> Row:
    routes = sorted(one.routes.all(), key=attrgetter("position"))
    votes = sorted(one.votes.all(), key=attrgetter("pk"))
    taken = one.decided_at - one.requested_at if one.decided_at else None
    return Row(
        (
            one.requested_at,
            one.tool,
            one.team,
            one.environment,
            ", ".join(map(str, one.requesters)),
            one.asked_because,
            "; ".join(map(str, routes)),
            ", ".join(route.rule for route in routes if route.rule),
            state_of(one, at=at),
            one.decided_label,
            one.decided_by,
            one.decided_at,
            taken.total_seconds() if taken else None,
            one.reason,
            "; ".join(f"{vote} ({vote.reason})" for vote in votes),
            one.arguments_digest,
            one.run,
            one.step,
            one.used_at,
            one.uid,
        ),
        {
            "run": reverse("run", args=[one.run]),
            "requested_at": _events_on("approval", one.uid),
        },
    )


_TEAM = Filter("team", "Team", hint="sales")
_ENVIRONMENT = Filter("environment", "Environment", hint="prod")

APPROVALS = Report(
    "approvals",
    "Approvals",
    "Which calls people had to agree to: who asked, who decided, when, and how long it "
    "took.",
    _APPROVALS,
    (
        _TEAM,
        _ENVIRONMENT,
        Filter("state", "Outcome", choices=lambda: list(Approval.State.choices)),
        Filter("tool", "Tool", hint="shop.refund"),
        Filter("actor", "Person", hint="alice"),
    ),
    approvals,
    nothing="No call asked for an approval in this period that these filters leave.",
    about="Nobody approves their own; each decision holds for one exact call, once.",
)

# Unknown outcomes

_OUTCOMES = (
    Column("intent_at", "Sent", parts.AT, 1.2),
    Column("tool", "Tool", parts.CODE, 1.6),
    Column("team", "Team"),
    Column("environment", "Environment", width=1.3),
    Column("principal", "Called by", width=1.5),
    Column("state", "State", parts.STATE, 1.2),
    Column("verdict", "Verdict", width=1.3),
    Column("settled_by", "Settled by", width=1.3),
    Column("settled_by_id", "Settler", shown=False),
    Column("settled_at", "Settled", parts.AT, 1.2),
    Column("seconds", "Was open", parts.SECONDS, 1.1),
    Column("reason", "Reason", width=2.2),
    Column("run", "Run", parts.CODE, 1.3),
    Column("step", "Step", parts.NUMBER, 0.6),
    Column("event", "Event", parts.CODE, shown=False),
)
_STATES = dict(outcomes.STATES)


def _unknown(asked: Asked) -> QuerySet[ToolCall]:
    found = within(
        of_teams(outcomes.all_outcomes(), "run__team", asked), "intent_at", asked
    )
    if asked["environment"]:
        found = found.filter(run__environment=asked["environment"])
    if asked["tool"]:
        found = found.filter(tool=asked["tool"])
    if asked["state"]:
        found = outcomes.in_state(found, asked["state"])
    return found


def unknown(asked: Asked) -> Found:
    """Calls whose outcome nobody saw, sent in the period; two queries for figures."""
    found = _unknown(asked)
    calls = list(found.order_by("-pk")[:_MOST_EXAMINED])
    settled = _settlements(calls)
    states = [outcomes.state_of(call) for call in calls]
    took = [
        seconds
        for call in calls
        if call.resolution and (seconds := _open_seconds(call, settled, asked.at))
    ]
    waiting = [
        (asked.at - call.intent_at).total_seconds()
        for call, state in zip(calls, states, strict=True)
        if state == outcomes.OPEN
    ]
    note = ""
    if len(calls) == _MOST_EXAMINED:
        note = f"Figures are of the newest {_MOST_EXAMINED:,}."
    return Found(
        figures=[
            Figure("unknown", "Unknown outcomes", len(calls)),
            _state_figure(outcomes.OPEN, "open", states),
            _state_figure(outcomes.DECIDED, "settled", states),
            _state_figure(outcomes.ENDED, "ended", states),
            Figure("median_seconds", "Median open", median(took) if took else None,
                   parts.SECONDS),
            Figure("longest_seconds", "Longest still open", max(waiting, default=None),
                   parts.SECONDS),
        ],
        listing=ByKey(found, lambda rows: _outcome_rows(rows, asked.at)),
        note=note,
    )  # fmt: skip


def _state_figure(state: str, name: str, states: Sequence[str]) -> Figure:
    return Figure(name, _STATES[state], states.count(state), query={"state": state})


Settled = Mapping[tuple[str, int | None], Event]


def _settlements(calls: Sequence[ToolCall]) -> Settled:
    """What the trail says of who settled these; the last word of each. One query."""
    runs = {call.run.uid for call in calls if call.resolution}
    if not runs:
        return {}
    said = Event.objects.filter(run__in=runs, name=events.OUTCOME_RESOLVED.name)
    return {(one.run, one.step): one for one in said.defer("body").order_by("pk")}


def _open_seconds(call: ToolCall, settled: Settled, at: datetime) -> float | None:
    event = settled.get((call.run.uid, call.step))
    end: datetime | None = event.at if event else None
    if end is None:
        end = (
            call.run.finished_at if call.run.ended else None if call.resolution else at
        )
    return (end - call.intent_at).total_seconds() if end else None


def _outcome_rows(calls: Sequence[ToolCall], at: datetime) -> list[Row]:
    settled = _settlements(calls)
    return [_outcome_row(call, settled, at) for call in calls]


def _outcome_row(call: ToolCall, settled: Settled, at: datetime) -> Row:
    event = settled.get((call.run.uid, call.step))
    links = {"run": reverse("run", args=[call.run.uid])}
    if event:
        links["settled_at"] = reverse("event", args=[event.uid])
    values: tuple[Any, ...] = (
        call.intent_at,
        call.tool,
        call.run.team,
        call.run.environment,
        call.run.principal,
        _STATES[outcomes.state_of(call)],
        call.get_resolution_display() if call.resolution else "",
        event.actor_label if event else call.resolved_by,
        call.resolved_by,
        event.at if event else None,
        _open_seconds(call, settled, at),
        call.resolved_because,
        call.run.uid,
        call.step,
        event.uid if event else "",
    )
    return Row(values, links)


OUTCOMES = Report(
    "outcomes",
    "Unknown outcomes",
    "Writes that were sent and never answered: who settled them, how, why, and how "
    "long they were open.",
    _OUTCOMES,
    (
        _TEAM,
        _ENVIRONMENT,
        Filter("state", "State", choices=lambda: list(outcomes.STATES)),
        Filter("tool", "Tool", hint="shop.refund"),
    ),
    unknown,
    nothing="Every write of this period that these filters leave was answered.",
    about="Such a call is never repeated by itself: a named person says what happened.",
)
