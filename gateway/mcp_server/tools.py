"""What the endpoint's tools do: search, get_schema, execute, get_run, direct calls."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from core.clock import now
from core.errors import Invalid, NotFound
from core.ids import new_id
from finops.models import UsageEvent
from finops.services.metering import Payer, Usage, book
from gateway.catalog import usable_by
from gateway.codemode import render, tokens, truncate
from gateway.models import Run
from gateway.services import runs
from gateway.services.envelope import envelope
from policy.principal import Principal

Arguments = Mapping[str, Any]

MAX_WAIT_SECONDS = 55.0
DEFAULT_WAIT_SECONDS = 50.0
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


def submit(principal: Principal, arguments: Arguments) -> Run:
    """Queue the script of an execute call."""
    return runs.submit(
        principal=principal,
        code=arguments["code"],
        language=arguments.get("language", "python"),
        task=arguments.get("task", ""),
        at=now(),
    )


def submit_direct(principal: Principal, name: str, arguments: Arguments) -> Run:
    """Queue a direct call of a tool."""
    return runs.submit_direct(
        principal=principal, tool=name, arguments=dict(arguments), at=now()
    )


def wait_seconds(arguments: Arguments) -> float:
    """How long an execute call may wait for the end of its run."""
    return min(MAX_WAIT_SECONDS, float(arguments.get("wait", DEFAULT_WAIT_SECONDS)))


def answer(uid: str) -> dict[str, Any]:
    """The envelope of a run, ended or not."""
    return envelope(Run.objects.get(uid=uid))


def direct_answer(uid: str) -> tuple[Any, dict[str, Any] | None]:
    """Value and error of a direct call's run."""
    run = Run.objects.only("value", "error", "status").get(uid=uid)
    if not run.ended:
        return None, {
            "code": "still_running",
            "message": f"The call goes on; ask get_run for {uid}.",
            "retryable": False,
        }
    return run.value, run.error


def get_run(principal: Principal, arguments: Arguments) -> dict[str, Any]:
    """A run's envelope, or a page of its value."""
    uid = str(arguments["run"])
    # PostgreSQL refuses to compare with a text that holds a NUL.
    mine = Run.objects.filter(uid=uid.replace("\x00", "?"), principal=principal.id)
    run = mine.first()
    if run is None:
        raise NotFound(
            f"There is no run {uid[:60]!r} of this key's account. execute returns the "
            "id as 'run'."
        )
    if not arguments.keys() & {"path", "offset", "limit"}:
        return envelope(run)
    if not run.ended:
        raise Invalid("The run has not ended: there is no value to page yet.")
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
}
