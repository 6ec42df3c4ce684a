"""Books what models used: the one way for all that tell of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.actor import Actor
from audit.services.record import record
from core.prepared import prepared_cursor
from finops import events
from finops.model_usage import model_sku
from finops.models import UsageEvent, UsageReport
from finops.price_book import PriceBook
from finops.services import budgets, task_facts
from finops.services.metering import Booked, Payer, Usage, book
from finops.services.prices import current_book
from finops.told import Told

UNIT = "Tokens"
# The sorted input gives two batches of the same answers one order of locks.
_INSERT = """
INSERT INTO finops_usagereport (
  event, source, known, at, reported_at, provider, model, input, output, cached_read,
  cache_write, reasoning, run, task, trace_id, answer, team, cost_centre, project,
  environment, principal)
SELECT r.event, %(source)s::text, r.known, r.at, %(reported_at)s::timestamptz,
  r.provider, r.model, r.input, r.output, r.cached_read, r.cache_write, r.reasoning,
  r.run, r.task, r.trace_id, r.answer, r.team, r.cost_centre, r.project, r.environment,
  r.principal
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (
  event text, known text, at timestamptz, provider text, model text, input bigint,
  output bigint, cached_read bigint, cache_write bigint, reasoning bigint, run text,
  task text, trace_id text, answer text, team text, cost_centre text, project text,
  environment text, principal text)
ORDER BY r.team, r.event
ON CONFLICT (team, event) DO NOTHING
RETURNING id, team, event
"""


@dataclass(frozen=True, slots=True)
class Report:
    """A model's answer and who pays for it; ``told`` has been checked."""

    told: Told
    payer: Payer


@transaction.atomic
def report_all(
    *, reports: Sequence[Report], source: str, actor: Actor, at: datetime, refused: int
) -> list[Booked | None]:
    """Book each answer that is not booked yet; None stands for one that is.

    ``at`` is when they are reported, ``refused`` counts those of the batch that could
    not be taken; both are for the trail, which gets one event for the batch.
    """
    first: dict[tuple[str, str], Report] = {}
    for one in reports:
        first.setdefault((one.payer.team, one.told.event), one)
    known = _metered_here(first, source)
    fresh = [one for key, one in first.items() if key not in known]
    new = _told(fresh, source, at)
    prices = current_book()
    booked: dict[tuple[str, str], Booked] = {
        key: _book(first[key], prices, uid=f"usage:{number}", reported_at=at)
        for key, number in new.items()
    }
    payers = [first[key].payer for key in booked]
    task_facts.usage_reported(
        runs={payer.run for payer in payers if payer.run},
        tasks={payer.task for payer in payers if payer.task},
    )
    if source != UsageReport.Source.GATEWAY and (booked or refused):
        _record(reports, booked, source, actor, at, refused)
    if source != UsageReport.Source.GATEWAY:
        _charge(first, booked)
    # Of two in one batch with the same name, the second is the duplicate.
    return [
        booked.pop((one.payer.team, one.told.event), None)
        if first[one.payer.team, one.told.event] is one
        else None
        for one in reports
    ]


def _metered_here(
    reports: Mapping[tuple[str, str], Report], source: str
) -> set[tuple[str, str]]:
    """Reports of answers that passed through Tollgate, which were metered then.

    A client that is asked through it may send its own spans as well.
    """
    if source == UsageReport.Source.GATEWAY:
        return set()
    names = {
        (team, name): (team, event)
        for (team, event), one in reports.items()
        for name in (event, one.told.answer)
        if name
    }
    passed = UsageReport.objects.filter(
        source=UsageReport.Source.GATEWAY,
        team__in={team for team, _ in names},
        answer__in={name for _, name in names},
    ).exclude(answer="")
    found = passed.values_list("team", "answer")
    return {names[key] for key in found if key in names}


def _told(
    reports: Sequence[Report], source: str, at: datetime
) -> dict[tuple[str, str], int]:
    """Keep the reports; the numbers of those that are new."""
    if not reports:
        return {}
    rows = json.dumps([_row(one) for one in reports])
    values: dict[str, Any] = {"source": source, "reported_at": at, "rows": rows}
    with prepared_cursor() as cursor:
        cursor.execute(_INSERT, values)
        return {(team, event): number for number, team, event in cursor.fetchall()}


def _row(report: Report) -> dict[str, Any]:
    told = report.told
    return {
        **asdict(told.usage),
        **asdict(report.payer),
        "event": told.event,
        "known": told.known,
        "at": told.at.isoformat(),
        "provider": told.provider,
        "model": told.model,
        "trace_id": told.trace_id,
        "answer": told.answer,
    }


def _book(
    report: Report, prices: PriceBook, *, uid: str, reported_at: datetime
) -> Booked:
    told = report.told
    model = _priced_name(told, prices)
    usages = [
        Usage(
            uid=f"{uid}:{kind}",
            kind=UsageEvent.Kind.MODEL_TOKENS,
            sku=model_sku(told.provider, model, kind),
            unit=UNIT,
            quantity=quantity,
            known=told.known,
            model=model,
            token_kind=kind,
        )
        for kind, quantity in told.usage.parts()
    ]
    late = reported_at if reported_at > told.at else None
    return book(payer=report.payer, usages=usages, at=told.at, reported_at=late)


def _priced_name(told: Told, prices: PriceBook) -> str:
    """Of the two names of a model, the one that the price book has."""
    for name in (told.model, told.asked_model):
        sku = model_sku(told.provider, name, "output")
        if name and prices.rate(sku, unit=UNIT, at=told.at):
            return name
    return told.model


def _charge(
    reports: Mapping[tuple[str, str], Report],
    booked: Mapping[tuple[str, str], Booked],
) -> None:
    """Count the costs in the budgets; last, since others wait for the same rows."""
    budgets.charge(
        (reports[key].payer, reports[key].told.model, one.cost, reports[key].told.at)
        for key, one in booked.items()
        if one.cost
    )


def _record(
    reports: Sequence[Report],
    booked: dict[tuple[str, str], Booked],
    source: str,
    actor: Actor,
    at: datetime,
    refused: int,
) -> None:
    record(
        events.USAGE_REPORTED,
        actor=actor,
        at=at,
        payload={
            "answers": len(booked),
            "source": source,
            "duplicates": len(reports) - len(booked),
            "refused": refused,
            "cost": str(sum(one.cost for one in booked.values())),
            "unrated": sum(one.unrated for one in booked.values()),
            "models": sorted({one.told.model for one in reports})[:20],
        },
    )
