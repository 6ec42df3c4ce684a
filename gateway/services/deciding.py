"""What rules say of a call: before it is made, and of what came back."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from audit.redact import hide, redact, secrets_in
from gateway.catalog import CatalogTool, Usable, sandboxing_for, usable_now
from gateway.connectors.api import Outcome
from gateway.models import ToolCall
from gateway.sandbox.api import CallError, Reply
from gateway.services.holder import Holder, Step
from policy import paths
from policy.admission import in_its_way
from policy.compiled import RuleSet
from policy.decision import DENY, Decision, decide, for_record
from policy.facts import CallFacts, PrincipalFacts, RunFacts
from policy.principal import Principal
from policy.results import ResultDecision, decide_result

NO_SUCH_TOOL = "catalog: there is no such tool"
NEEDS_GVISOR = "isolation: the tool needs a script in gVisor"


def refreshed(holder: Holder) -> Holder:
    """The holder with catalog and policy as they are now, a second old at most."""
    usable = usable_now(holder.principal)
    return holder if usable is holder.usable else replace(holder, usable=usable)


def decision_on(holder: Holder, step: Step) -> Decision:
    """The decision on one call of a run; one that is allowed is counted."""
    tool = step.tool
    version = holder.usable.rules.version
    if tool is None:
        return Decision(DENY, (NO_SUCH_TOOL,), version)
    if holder.needs_gvisor(step.call.tool):
        return Decision(DENY, (NEEDS_GVISOR,), version)
    number = step.call.step
    # Calls of a run may come at the same time: those that are counted wait in line.
    with holder.tally.lock:
        made = holder.tally.but(number)
        call = facts_of_call(
            holder.usable,
            principal=holder.principal,
            tool=tool,
            run=RunFacts(holder.run, holder.mode, holder.language, made),
            arguments=step.call.arguments,
            at=step.at,
        )
        decision = decided(holder.usable, holder.principal, tool, call)
        if not decision.denied:
            holder.tally.add(number, call.tool)
    return decision


def facts_of_call(
    usable: Usable,
    *,
    principal: Principal,
    tool: CatalogTool,
    run: RunFacts,
    arguments: Mapping[str, Any],
    at: datetime,
) -> CallFacts:
    """What is to be decided on."""
    return CallFacts(
        tool=tool.facts,
        principal=principal_facts(principal),
        run=run,
        arguments=arguments,
        at=at,
        granted=usable.granted(tool),
        enabled=principal.environment in tool.environments,
        scopes=principal.scopes,
    )


def decided(
    usable: Usable,
    principal: Principal,
    tool: CatalogTool,
    call: CallFacts,
    *,
    rules: RuleSet | None = None,
) -> Decision:
    """The decision on a call of a tool that is there, by the live rules or others.

    The one way to it: for calls that are made and for whoever asks why.
    """
    return in_its_way(
        decide(usable.rules if rules is None else rules, call),
        sandboxing_for(principal, usable.policy_revision).rules,
        tool.ways,
        tool=tool.full_name,
        mode=call.run.mode,
    )


def principal_facts(principal: Principal) -> PrincipalFacts:
    """A principal as rules know it."""
    return PrincipalFacts(
        id=principal.id,
        kind=principal.kind,
        label=principal.label,
        team=principal.team,
        environment=principal.environment,
        key=principal.key,
        roles=principal.roles,
    )


def shown(step: Step) -> Any:
    """The arguments as any record may hold them."""
    return redact(for_record(step.decision, step.call.arguments))


def refusal(step: Step) -> CallError:
    """What an agent is told that may not make the call."""
    decision, tool = step.decision, step.call.tool
    if decision.denied_by:
        why = decision.told or "ask an administrator what it is for"
        message = f"{tool} was denied by rule {decision.denied_by}: {why}"
        return CallError("denied", message)
    # One answer for "is not there" and "is not for you", so that names cannot be
    # found out by trying.
    return CallError(
        "denied",
        decision.told
        or f"{tool} is not available to this key. Use search to see what is, "
        "or ask an administrator for a grant.",
    )


def handed_on(step: Step, answer: Outcome) -> tuple[str, Reply, ResultDecision]:
    """An answer as the script is given it: as it came, redacted, or withheld."""
    value: Any = answer.value
    if answer.is_error:
        value = without_hidden(step, answer.message)
        value = value or "The tool reported an error without a text."
    size = answer.bytes or _size(answer.value)
    ruled = decide_result(step.decision.later, value, size=size, at=step.at)
    if ruled.denied:
        error = _withheld(step.call.tool, ruled)
        return ToolCall.Outcome.WITHHELD, Reply(error=error), ruled
    if not answer.is_error:
        return ToolCall.Outcome.OK, Reply(value=ruled.value), ruled
    error = CallError("tool_error", str(ruled.value), retryable=True)
    return ToolCall.Outcome.TOOL_ERROR, Reply(error=error), ruled


def _withheld(tool: str, ruled: ResultDecision) -> CallError:
    why = ruled.told or "ask an administrator what it is for"
    return CallError(
        "withheld",
        f"{tool} was called, and rule {ruled.denied_by} withholds its result: {why}. "
        "Calling it again gives no more.",
    )


def without_hidden(step: Step, text: str) -> str:
    """A text of the tool without secrets and arguments that no record may hold.

    Tools like to repeat what they were given.
    """
    arguments = step.call.arguments
    found = secrets_in(arguments)
    for path in step.decision.hide:
        for value in paths.find(arguments, path):
            found |= secrets_in(value, under_a_name=True)
    masked = for_record(replace(step.decision, hide=()), {"text": hide(text, found)})
    return str(masked["text"]) if isinstance(masked, dict) else str(masked)


def _size(value: Any) -> int:
    try:
        return len(orjson.dumps(value))
    except TypeError:
        return len(str(value))


def on_record(
    decision: Decision, ruled: ResultDecision | None = None
) -> dict[str, Any] | None:
    """Which rules had a say, as the journal keeps it; None where none had."""
    applied = {*decision.applied, *(ruled.applied if ruled else ())}
    would = (*decision.would, *(ruled.would if ruled else ()))
    if not applied and not would:
        return None
    return {
        "applied": sorted(applied),
        "would": [{"rule": one.rule, "effect": one.effect} for one in would],
    }


def in_the_trail(decision: Decision) -> dict[str, Any]:
    """What an audit event says of the rules."""
    said: dict[str, Any] = {"policy_version": decision.policy_version}
    if decision.applied:
        said["rules"] = list(decision.applied)
    if decision.would:
        said["would"] = [one.as_dict() for one in decision.would]
    return said
