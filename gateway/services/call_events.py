"""What the trail says before a call leaves."""

from typing import Any

from audit.actor import Target
from audit.digests import digests_of
from audit.models import Event
from audit.services.record import build
from gateway import events
from gateway.catalog import CatalogTool
from gateway.services.deciding import in_the_trail
from gateway.services.holder import Holder, Step
from policy.decision import ALLOW


def intended(holder: Holder, step: Step, tool: CatalogTool, shown: Any) -> Event:
    """The call with its arguments as people may see them, and why it is allowed."""
    return build(
        events.CALL_INTENDED,
        actor=holder.principal.actor,
        at=step.at,
        target=target_of(step.call.tool),
        decision=ALLOW,
        reasons=step.decision.reasons,
        payload={
            "arguments": shown,
            "arguments_digest": step.digest,
            "digests": digests_of(step.call.arguments),
            "version": tool.definition.version,
            "effect": tool.effect,
            "policy_revision": holder.usable.policy_revision,
            **in_the_trail(step.decision),
        },
        tool=step.call.tool,
        run=holder.run,
        step=step.call.step,
        policy_version=step.decision.policy_version,
    )


def target_of(tool: str) -> Target:
    """The tool as the trail names it; hostile names are cut."""
    return Target("tool", tool[:120], tool[:120])
