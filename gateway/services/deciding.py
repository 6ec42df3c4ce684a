"""What rules are asked about a call, and what they decide."""

from gateway.catalog import CatalogTool, sandboxing_for
from gateway.services.holder import Holder, Step
from policy.admission import in_its_way
from policy.compiled import NO_RULES
from policy.decision import DENY, Decision, decide
from policy.facts import CallFacts, PrincipalFacts, RunFacts, ToolFacts
from policy.principal import Principal


def decision_on(holder: Holder, step: Step) -> Decision:
    """The decision on one call of a run."""
    tool = step.tool
    if tool is None:
        return Decision(DENY, ("catalog: there is no such tool",))
    if holder.needs_gvisor(step.call.tool):
        return Decision(DENY, ("isolation: the tool needs a script in gVisor",))
    principal = holder.principal
    call = CallFacts(
        tool=tool_facts(tool),
        principal=principal_facts(principal),
        run=RunFacts(id=holder.run),
        arguments=step.call.arguments,
        at=step.at,
        granted=holder.usable.granted(tool),
        enabled=principal.environment in tool.environments,
        scopes=principal.scopes,
    )
    return in_its_way(
        decide(NO_RULES, call),
        sandboxing_for(principal, holder.usable.policy_revision).rules,
        tool.ways,
        tool=tool.full_name,
        mode=holder.mode,
    )


def tool_facts(tool: CatalogTool) -> ToolFacts:
    """A tool as rules know it."""
    definition = tool.definition
    return ToolFacts(tool.full_name, definition.server, tool.effect, definition.tags)


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
