"""Submits runs, cancels them, and says how they ended."""

import hashlib
import secrets
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from audit.actor import Actor, Target
from audit.services.record import DENY, record
from core.errors import (
    BudgetExceeded,
    Denied,
    Invalid,
    NotFound,
    QuotaExceeded,
    TollgateError,
)
from core.ids import new_id
from core.jobs import enqueue
from core.prepared import insert
from finops.services import budgets
from gateway import events
from gateway.catalog import Usable, sandboxing_for, usable_by
from gateway.codemode.checks import LANGUAGES
from gateway.models import Run
from gateway.services.grouping import join_task
from gateway.services.reservations import payer_of, reserve
from policy import admission, scopes
from policy.access import roles_of
from policy.principal import Principal
from policy.services.quotas import note_refusal

DIRECT = "direct"
_LONGEST_NAME = 200
_LONGEST_MODEL = 100


def submit(
    *,
    principal: Principal,
    code: str,
    at: datetime,
    language: str = "python",
    task: str = "",
    model: str = "",
    on_behalf_of: Actor | None = None,
) -> Run:
    """Queue a script to be run as ``principal``.

    ``task`` is the agent's own name for the piece of work: runs with the same name
    are attempts at it. ``on_behalf_of`` is the person at the playground. Raises
    Invalid, Denied, QuotaExceeded, BudgetExceeded; a refusal is on record.
    """
    _check_script(code, language)
    if not scopes.covers(principal.scopes, scopes.RUNS_EXECUTE):
        raise _refused(
            principal,
            Denied("This key may not execute scripts: it needs runs:execute."),
            at,
        )
    fields = {"mode": Run.Mode.SCRIPT, "code": code, "language": language}
    return _create(principal, fields, task, model, on_behalf_of, at)


def submit_direct(
    *,
    principal: Principal,
    tool: str,
    arguments: dict[str, Any],
    at: datetime,
    model: str = "",
) -> Run:
    """Queue one tool call of the classic path; it goes the same way as a script's.

    Raises NotFound for what cannot be a tool's name, Denied, QuotaExceeded,
    BudgetExceeded.
    """
    if len(tool) > _LONGEST_NAME or not tool.isprintable():
        raise NotFound(f"There is no tool {tool[:60]!r}. Use search to see what is.")
    fields = {
        "mode": Run.Mode.DIRECT,
        "direct_tool": tool,
        "direct_arguments": arguments,
        "language": "",
    }
    return _create(principal, fields, "", model, None, at)


def _check_script(code: str, language: str) -> None:
    if language not in LANGUAGES:
        raise Invalid(
            f"Language {language!r} is not offered: use {' or '.join(LANGUAGES)}."
        )
    if not code.strip():
        raise Invalid(
            "The script is empty: send code that calls tools and returns a value."
        )
    if len(code) > settings.SCRIPT_MAX_CHARACTERS:
        raise Invalid(
            f"The script has {len(code):,} characters; the limit is "
            f"{settings.SCRIPT_MAX_CHARACTERS:,}. Fetch data with tools instead of "
            "putting it into the script."
        )
    if "\x00" in code or (not code.isascii() and _has_lone_surrogate(code)):
        raise Invalid(
            "The script holds a NUL or half a surrogate pair: send valid Unicode text."
        )


def _has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _refused(principal: Principal, error: TollgateError, at: datetime) -> TollgateError:
    event = record(
        events.RUN_REFUSED,
        actor=principal.actor,
        at=at,
        decision=DENY,
        reasons=[error.message],
        payload={"code": error.code, "details": error.details},
    )
    note_refusal(error.details, principal=principal, event=event)
    budgets.note_refusal(error.details, principal=principal, event=event)
    return error


def _create(
    principal: Principal,
    fields: dict[str, Any],
    task: str,
    model: str,
    on_behalf_of: Actor | None,
    at: datetime,
) -> Run:
    if len(model) > _LONGEST_MODEL or not model.isprintable():
        raise Invalid(f"A model's name has at most {_LONGEST_MODEL} characters.")
    try:
        return _create_run(principal, fields, task, model, on_behalf_of, at)
    except (QuotaExceeded, BudgetExceeded, Denied) as error:
        raise _refused(principal, error, at) from None


@transaction.atomic
def _create_run(
    principal: Principal,
    fields: dict[str, Any],
    task: str,
    model: str,
    on_behalf_of: Actor | None,
    at: datetime,
) -> Run:
    usable = _admitted(principal, fields, model)
    work = join_task(principal, task, at)
    run = Run(
        uid=new_id("run"),
        task=work,
        attempt=work.attempts,
        team_id_at=principal.team_id,
        team=principal.team,
        cost_centre=principal.cost_centre,
        project=principal.project,
        environment=principal.environment,
        principal_kind=principal.kind,
        principal=principal.id,
        principal_label=principal.label,
        key_id_at=principal.key_id,
        key=principal.key,
        scopes=list(principal.scopes),
        request_id=principal.request_id,
        address=principal.address,
        trace_id=principal.trace_id,
        model=model,
        submitted_by=on_behalf_of.id if on_behalf_of else "",
        code_sha256=hashlib.sha256(fields.get("code", "").encode()).hexdigest(),
        catalog_revision=usable.catalog.revision,
        policy_revision=usable.policy_revision,
        seed=secrets.randbits(62),
        queued_at=at,
        **fields,
    )
    insert(run)
    record(
        events.RUN_SUBMITTED,
        actor=on_behalf_of or principal.actor,
        at=at,
        target=run_target(run),
        run=run.uid,
        payload={
            "principal": principal.id,
            "task": work.uid,
            "attempt": run.attempt,
            "mode": run.mode,
            "code_sha256": run.code_sha256,
        },
    )
    # Last, since everybody's runs wait for the same rows until this one is committed.
    reserve(run, payer_of(run, work.uid), principal, usable)
    enqueue("gateway.execute_run", queue="runs", swept=True, run=run.uid)
    return run


def _admitted(principal: Principal, fields: dict[str, Any], model: str) -> Usable:
    """What the principal may use, if policy lets such a run be made. Raises Denied."""
    usable = usable_by(principal)
    refused = admission.refusal(
        sandboxing_for(principal, usable.policy_revision).rules,
        mode=fields["mode"],
        language=fields["language"],
        model=model,
    )
    if refused is not None:
        raise refused
    return usable


def run_target(run: Run) -> Target:
    """The run as the trail names it."""
    return Target("run", run.uid, run.uid)


def acting(run: Run) -> Principal:
    """Whom a run's calls are decided for: with the roles its person has now."""
    principal = principal_of(run)
    if not run.submitted_by:
        return principal
    return replace(principal, roles=roles_of(run.submitted_by, run.team))


def principal_of(run: Run) -> Principal:
    """The principal as it was when the run was submitted, without a person's roles."""
    return Principal(
        kind=run.principal_kind,
        id=run.principal,
        label=run.principal_label,
        team_id=run.team_id_at,
        team=run.team,
        cost_centre=run.cost_centre,
        project=run.project,
        environment=run.environment,
        scopes=tuple(run.scopes),
        key_id=run.key_id_at,
        key=run.key,
        address=run.address,
        request_id=run.request_id,
        trace_id=run.trace_id,
    )
