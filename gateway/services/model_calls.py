"""Admits requests to models and books what they used: the one way to a model."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from audit.actor import SYSTEM, Actor, Target
from audit.services.record import DENY, record
from core.errors import (
    BudgetExceeded,
    Denied,
    NotFound,
    QuotaExceeded,
    TollgateError,
)
from core.ids import new_id
from core.money import multiply
from finops.model_usage import ModelUsage, model_sku
from finops.models import UsageEvent, UsageReport
from finops.services import budgets
from finops.services.metering import Booked, Payer
from finops.services.prices import current_book
from finops.services.reported import UNIT, Report, report_all
from finops.told import Told, check_work
from gateway import events
from gateway.catalog import sandboxing_for, usable_by
from gateway.models import ModelCall, ModelServer
from gateway.services.model_usage import payer_of_call
from policy import admission
from policy.principal import Principal
from policy.quota import TOKENS, Want
from policy.services import quotas

Outcome = ModelCall.Outcome
LOST_AFTER = timedelta(hours=1)
"""Longer than any request may take; its holds of budgets end then as well."""
_MOST_LOST = 200


class ModelUnknown(NotFound):
    """No enabled model server offers it."""

    code = "model_not_found"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for; ``expected`` and ``most_output`` are tokens."""

    model: str
    stream: bool
    expected: int
    most_output: int
    run: str = ""
    task: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be sent, and where it goes."""

    uid: str
    url: str
    upstream_model: str
    timeout_seconds: float
    headers: dict[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a request ended. ``usage`` is None where nothing reached the model.

    ``answer`` is the server's own id of the answer.
    """

    outcome: str
    status: int | None
    first_seconds: float | None
    seconds: float
    usage: ModelUsage | None = None
    known: str = UsageEvent.Known.MEASURED
    answer: str = ""


def offered(principal: Principal) -> list[tuple[str, ModelServer]]:
    """The models that this key may ask, by name, each with its server."""
    usable = usable_by(principal)
    rules = sandboxing_for(principal, usable.policy_revision).rules
    found = {
        name: server
        for server in ModelServer.objects.filter(enabled=True).order_by("-name")
        for name in server.offered
        if admission.model_refusal(rules, name) is None
    }
    return sorted(found.items())


def admit(*, principal: Principal, wanted: Wanted, at: datetime) -> Admitted:
    """Let a request pass: it is on record, and holds what it may use, before it leaves.

    Raises ModelUnknown, NotFound, Invalid, Denied, QuotaExceeded, BudgetExceeded; what
    is denied is on record.
    """
    told = Told(
        event="",
        provider="",
        model=wanted.model,
        usage=ModelUsage(),
        at=at,
        run=wanted.run,
        task=wanted.task,
        trace_id=principal.trace_id,
    )
    check_work(told)
    try:
        _check_model(principal, wanted.model)
        server = _server_of(wanted.model)
        payer = payer_of_call(principal=principal, told=told, at=at)
        return _admit(principal, wanted, server, payer, at)
    except (Denied, QuotaExceeded, BudgetExceeded) as error:
        raise _refused(principal, wanted.model, error, at) from None


def _check_model(principal: Principal, model: str) -> None:
    usable = usable_by(principal)
    rules = sandboxing_for(principal, usable.policy_revision).rules
    if refused := admission.model_refusal(rules, model):
        raise refused


def _server_of(model: str) -> ModelServer:
    servers = ModelServer.objects.filter(enabled=True, offered__has_key=model)
    server = servers.order_by("name").first()
    if server is None:
        raise ModelUnknown(
            f"There is no model {model[:100]!r} here: GET /v1/models lists those that "
            "are offered to this key."
        )
    return server


def _refused(
    principal: Principal, model: str, error: TollgateError, at: datetime
) -> TollgateError:
    event = record(
        events.MODEL_REFUSED,
        actor=principal.actor,
        at=at,
        decision=DENY,
        reasons=[error.message],
        payload={"model": model[:100], "code": error.code, "details": error.details},
    )
    quotas.note_refusal(error.details, principal=principal, event=event)
    budgets.note_refusal(error.details, principal=principal, event=event)
    return error


@transaction.atomic
def _admit(
    principal: Principal,
    wanted: Wanted,
    server: ModelServer,
    payer: Payer,
    at: datetime,
) -> Admitted:
    upstream: str = server.offered[wanted.model]
    call = ModelCall.objects.create(
        uid=new_id("llm"),
        server=server.name,
        provider=server.provider,
        model=wanted.model,
        upstream_model=upstream,
        team=payer.team,
        cost_centre=payer.cost_centre,
        project=payer.project,
        environment=payer.environment,
        principal=payer.principal,
        key=principal.key,
        run=payer.run,
        task=payer.task,
        trace_id=principal.trace_id,
        stream=wanted.stream,
        expected=wanted.expected,
        asked_at=at,
    )
    record(
        events.MODEL_ASKED,
        actor=principal.actor,
        at=at,
        target=_target(server.name),
        run=payer.run,
        payload={
            "model": wanted.model,
            "request": call.uid,
            "stream": wanted.stream,
            "task": payer.task,
            "expected": wanted.expected,
        },
    )
    # Last, since others wait for the same rows until this is committed.
    _reserve(principal, wanted, call, payer, at)
    return Admitted(
        call.uid, server.url, upstream, server.timeout_seconds, server.secret_values()
    )


def _reserve(
    principal: Principal, wanted: Wanted, call: ModelCall, payer: Payer, at: datetime
) -> None:
    usable = usable_by(principal)
    most = Decimal(wanted.expected + wanted.most_output)
    quotas.reserve_run(
        limits=usable.limits,
        key_id=principal.key_id,
        holder=call.uid,
        wants=[Want(TOKENS, most, least=Decimal(wanted.expected + 1))],
        at=at,
    )
    budgets.reserve(
        payer=payer,
        key=principal.key,
        model=wanted.model,
        holder=call.uid,
        amount=_most_cost(call, wanted, at),
        at=at,
    )


def _most_cost(call: ModelCall, wanted: Wanted, at: datetime) -> Decimal:
    """What the answer may cost at most; nothing where the model has no price."""
    prices = current_book()
    tokens = {"input": wanted.expected, "output": wanted.most_output}
    whole = Decimal(0)
    for kind, number in tokens.items():
        for name in (call.model, call.upstream_model):
            sku = model_sku(call.provider, name, kind)
            if rate := prices.rate(sku, unit=UNIT, at=at):
                whole += multiply(Decimal(number), rate.amount)
                break
    return whole


@transaction.atomic
def end(*, uid: str, ending: Ending, actor: Actor, at: datetime) -> Booked | None:
    """Book what a request used, and give back what it held; None if that was done."""
    call = ModelCall.objects.select_for_update().get(uid=uid)
    if call.outcome:
        return None
    call.outcome, call.status, call.ended_at = ending.outcome, ending.status, at
    call.first_seconds, call.seconds = ending.first_seconds, ending.seconds
    call.save()
    booked = _book(call, ending, actor, at) if ending.usage else None
    usage = ending.usage or ModelUsage()
    record(
        events.MODEL_ANSWERED,
        actor=actor,
        at=at,
        target=_target(call.server),
        run=call.run,
        payload={
            "model": call.model,
            "outcome": ending.outcome,
            "request": uid,
            "status": ending.status,
            "seconds": round(ending.seconds, 6),
            "input": usage.input,
            "output": usage.output,
            "known": ending.known if ending.usage else "",
            "cost": str(booked.cost) if booked else "0",
            "unrated": booked.unrated if booked else 0,
        },
    )
    used = sum(int(number) for _, number in usage.parts())
    quotas.settle(holder=uid, tokens=used, cpu_seconds=0)
    budgets.settle(holder=uid, cost=booked.cost if booked else Decimal(0), at=at)
    return booked or Booked(Decimal(0), "", 0)


def _book(call: ModelCall, ending: Ending, actor: Actor, at: datetime) -> Booked | None:
    told = Told(
        event=call.uid,
        provider=call.provider,
        model=call.model,
        asked_model=call.upstream_model,
        usage=ending.usage or ModelUsage(),
        at=at,
        known=ending.known,
        run=call.run,
        task=call.task,
        trace_id=call.trace_id,
        answer=ending.answer,
    )
    payer = Payer(
        team=call.team,
        cost_centre=call.cost_centre,
        project=call.project,
        environment=call.environment,
        principal=call.principal,
        run=call.run,
        task=call.task,
        key=call.key,
    )
    (booked,) = report_all(
        reports=[Report(told, payer)],
        source=UsageReport.Source.GATEWAY,
        actor=actor,
        at=at,
        refused=0,
    )
    return booked


def settle_lost(*, at: datetime) -> int:
    """End requests whose process died: their input is booked as it was estimated."""
    lost = ModelCall.objects.filter(outcome="", asked_at__lt=at - LOST_AFTER)
    found = list(lost.order_by("pk").values_list("uid", "expected")[:_MOST_LOST])
    for uid, expected in found:
        ending = Ending(
            outcome=Outcome.LOST,
            status=None,
            first_seconds=None,
            seconds=LOST_AFTER.total_seconds(),
            usage=ModelUsage(input=expected),
            known=UsageEvent.Known.ESTIMATED,
        )
        end(uid=uid, ending=ending, actor=SYSTEM, at=at)
    return len(found)


def _target(server: str) -> Target:
    return Target("model_server", server, server)
