"""What the endpoint's tools do: search, get_schema, execute, get_run, direct calls."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson
from django.conf import settings

from audit.services.record import DENY, record
from core.clock import now
from core.errors import Denied, Invalid, NotFound
from core.ids import new_id
from core.trace import trace_id_of
from finops.models import UsageEvent
from finops.services.metering import Payer, Usage, book
from gateway import events
from gateway.catalog import usable_by
from gateway.codemode import render, tokens, truncate
from gateway.mcp_server import reporting
from gateway.mcp_server.auth import lacks, record_refusal
from gateway.models import Run
from gateway.services import runs
from gateway.services.cancel import cancel
from gateway.services.envelope import envelope, waiting_for
from gateway.services.retention import cutoff
from policy import scopes
from policy.access import RUNS_READ
from policy.principal import PERSON, Principal
from policy.services.personal_keys import access_of_key

Arguments = Mapping[str, Any]

MODEL = "tollgate/model"
SESSION = "tollgate/session"
_LONGEST_SESSION = 80
MAX_WAIT_SECONDS = 55.0
DEFAULT_WAIT_SECONDS = 50.0
_PAGE = 50
_SEARCH_TOKENS = 6_000
_SCHEMA_TOKENS = 12_000


def search(principal: Principal, arguments: Arguments) -> dict[str, Any]:
    """Tools for a question, among those that this key may call."""
    usable = usable_by(principal)
    hits = usable.catalog.index.search(
        arguments["query"],
        allowed=usable.names,
        limit=int(arguments.get("limit", 10)),
        tags=tuple(arguments.get("tags", ())),
        server=arguments.get("server"),
    )
    answer = render.render_search(
        hits, arguments.get("detail", "detailed"), _SEARCH_TOKENS
    )
    _meter_definitions(principal, answer)
    return answer


def get_schema(principal: Principal, arguments: Arguments) -> dict[str, Any]:
    """Definitions of named tools at the detail asked for."""
    usable = usable_by(principal)
    wanted = list(dict.fromkeys(arguments["tools"]))
    known = [usable.definitions[name] for name in wanted if name in usable.names]
    missing = [name for name in wanted if name not in usable.names]
    answer = render.render_schema(
        known,
        {
            name: usable.catalog.index.close_names(name, usable.names)
            for name in missing
        },
        arguments.get("detail", "detailed"),
        _SCHEMA_TOKENS,
        arguments.get("path"),
    )
    _meter_definitions(principal, answer)
    return answer


def submit(principal: Principal, arguments: Arguments, model: str) -> Run:
    """Queue the script of an execute call."""
    return runs.submit(
        principal=principal,
        code=arguments["code"],
        language=arguments.get("language", "python"),
        task=arguments.get("task", ""),
        model=model,
        at=now(),
    )


def submit_direct(
    principal: Principal, name: str, arguments: Arguments, model: str
) -> Run:
    """Queue a direct call of a tool."""
    return runs.submit_direct(
        principal=principal,
        tool=name,
        arguments=dict(arguments),
        model=model,
        at=now(),
    )


def traced(principal: Principal, meta: Mapping[str, Any] | None) -> Principal:
    """The principal with the trace and session that a request's ``_meta`` names.

    SEP-414: they come before the transport's headers, being nearer to the agent.
    """
    said = (meta or {}).get("traceparent")
    trace = trace_id_of(said) if isinstance(said, str) else ""
    session = session_in((meta or {}).get(SESSION, ""))
    return replace(
        principal,
        trace_id=trace or principal.trace_id,
        session=session or principal.session,
    )


def session_in(named: Any) -> str:
    """What a client calls its session; empty for what is too long or no plain text."""
    fits = isinstance(named, str) and len(named) <= _LONGEST_SESSION
    return named if fits and named.isprintable() else ""


def model_in(meta: Mapping[str, Any] | None) -> str:
    """The model that the agent says it is, from the request's ``_meta``."""
    named = (meta or {}).get(MODEL, "")
    if not isinstance(named, str):
        raise Invalid(f'Send "{MODEL}" in _meta as a text.')
    return named


def wait_seconds(arguments: Arguments) -> float:
    """How long an execute call may wait for the end of its run."""
    return min(MAX_WAIT_SECONDS, float(arguments.get("wait", DEFAULT_WAIT_SECONDS)))


def direct_answer(run: Run) -> tuple[Any, dict[str, Any] | None]:
    """Value and error of a direct call's run."""
    if run.status in Run.WAITING:
        waiting = waiting_for(run)["message"]
        return None, {"code": run.status, "message": waiting, "retryable": False}
    if not run.ended:
        return None, {
            "code": "still_running",
            "message": f"The call goes on; ask get_run for {run.uid}.",
            "retryable": False,
        }
    return run.value, run.error


def own_run(principal: Principal, uid: str) -> Run:
    """A run of this key's account, or one that its person may see.

    Raises NotFound; asking for another's is a denial on record.
    """
    # PostgreSQL refuses to compare with a text that holds a NUL.
    found = Run.objects.filter(uid=uid.replace("\x00", "?"))
    run = found.first()
    if principal.kind == PERSON:
        seen = found.visible_to(access_of_key(principal), RUNS_READ).exists()
    else:
        seen = run is not None and run.principal == principal.id
    if run is not None and seen:
        return run
    if run is not None:
        record(
            events.RUN_HIDDEN,
            actor=principal.actor,
            at=now(),
            target=runs.run_target(run),
            decision=DENY,
            reasons=["the run is another account's"],
        )
    raise NotFound(
        f"There is no run {uid[:60]!r} of this key's account. execute returns the id "
        "as 'run'."
    )


def own_runs(principal: Principal, before: int) -> tuple[list[Run], str]:
    """A page of this account's runs whose results are kept, newest first.

    The text is the ``before`` of the next page, empty at the end; 0 asks for the first.
    """
    kept = Run.objects.filter(principal=principal.id).exclude(
        finished_at__lt=cutoff(now())
    )
    if before:
        kept = kept.filter(pk__lt=before)
    found = list(kept.defer("code", "value", "stdout").order_by("-pk")[: _PAGE + 1])
    page = found[:_PAGE]
    return page, str(page[-1].pk) if len(found) > _PAGE else ""


def get_run(principal: Principal, arguments: Arguments) -> dict[str, Any]:
    """A run's envelope, or a page of its value."""
    run = own_run(principal, str(arguments["run"]))
    if arguments.get("cancel"):
        _may_execute(principal)
        run = cancel(uid=run.uid, actor=principal.actor, at=now())
    if not arguments.keys() & {"path", "offset", "limit"}:
        return envelope(run)
    if not run.ended:
        raise Invalid("The run has not ended: there is no value to page yet.")
    if run.finished_at and run.finished_at < cutoff(now()):
        raise NotFound(
            f"Results are kept for {settings.RESULT_DAYS} days: run the script again."
        )
    return {
        "run": run.uid,
        "status": run.status,
        "page": truncate.page(
            run.value,
            path=arguments.get("path", "$"),
            offset=int(arguments.get("offset", 0)),
            limit=int(arguments.get("limit", 100)),
        ),
    }


def _may_execute(principal: Principal) -> None:
    if not scopes.covers(principal.scopes, scopes.RUNS_EXECUTE):
        record_refusal(principal, "get_run with cancel", scopes.RUNS_EXECUTE)
        raise Denied(lacks("cancelling a run", scopes.RUNS_EXECUTE))


def _meter_definitions(principal: Principal, shown: dict[str, Any]) -> None:
    count = tokens.count(orjson.dumps(shown).decode())
    at: datetime = now()
    book(
        payer=Payer(
            principal.team,
            principal.cost_centre,
            principal.project,
            principal.environment,
            principal.id,
            key=principal.key,
        ),
        usages=[
            Usage(
                uid=new_id("use", characters=20),
                kind=UsageEvent.Kind.TOKENS,
                sku="tokens/definitions",
                unit="Tokens",
                quantity=Decimal(count),
                known=UsageEvent.Known.ESTIMATED,
            )
        ],
        at=at,
    )


ANSWERS: Mapping[str, Callable[[Principal, Arguments], dict[str, Any]]] = {
    "search": search,
    "get_schema": get_schema,
    "get_run": get_run,
    "report_usage": reporting.report,
}
