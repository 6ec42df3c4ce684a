"""The gate of a call that needs an approval, and the ways in which a run waits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from core.errors import TollgateError
from gateway.catalog import CatalogTool
from gateway.models import Run
from policy.models import Approval
from policy.principal import Principal
from policy.routing import DEFAULT, Route, digest_of
from policy.services import approvals
from policy.services.approvals import ApprovalClosed, Binding

AWAITING_APPROVAL = Run.Status.AWAITING_APPROVAL
AWAITING_OUTCOME = Run.Status.AWAITING_OUTCOME
BECAUSE = "the catalog marks this tool as needing approval"


class Suspended(TollgateError):
    """The run has to wait for a person; ``status`` says for what."""

    code = "suspended"

    def __init__(self, waiting: str, tool: str) -> None:
        super().__init__(f"The run waits for a person because of {tool}.")
        self.waiting = waiting


class NotApproved(TollgateError):
    """The call is not made: rejected, expired, or approved for another call."""

    code = "not_approved"
    status = 403


def binding_of(
    *,
    run: str,
    step: int,
    tool: CatalogTool,
    digest: str,
    policy_revision: int,
    routes: Sequence[Route] = (DEFAULT,),
) -> Binding:
    """The exact call that has to be approved, and what asks for it."""
    return Binding(
        run=run,
        step=step,
        tool=tool.full_name,
        tool_version=tool.definition.version,
        arguments_digest=digest,
        policy_revision=policy_revision,
        asked=digest_of(routes),
    )


def demands(tool: CatalogTool, asked: Sequence[Route]) -> tuple[Route, ...]:
    """Everybody who has to agree: whom the rules ask for, and the tool's own mark."""
    marked = (replace(DEFAULT, because=BECAUSE),) if tool.needs_approval else ()
    return (*asked, *marked)


def pass_or_wait(
    *,
    binding: Binding,
    arguments: Any,
    principal: Principal,
    submitted_by: str,
    at: datetime,
    routes: Sequence[Route] = (DEFAULT,),
) -> Approval:
    """The approval that lets the call pass; all of ``routes`` have to agree to it.

    Raises Suspended while nobody has decided, NotApproved when it was not approved.
    """
    approval = approvals.of_step(run=binding.run, step=binding.step)
    if approval is None:
        approval = approvals.ask(
            binding=binding,
            arguments=arguments,
            requester=principal.actor,
            requesters=sorted({principal.id, submitted_by} - {""}),
            because=BECAUSE,
            at=at,
            routes=routes,
        )
    if approval.state == Approval.State.PENDING and approval.expires_at > at:
        raise Suspended(AWAITING_APPROVAL, binding.tool)
    if approval.state != Approval.State.APPROVED:
        reason = f" ({approval.reason})" if approval.reason else ""
        state = "expired" if approval.state == "pending" else approval.state
        raise NotApproved(f"The approval of {binding.tool} is {state}{reason}.")
    return approval


def use(*, approval: Approval, binding: Binding, at: datetime) -> None:
    """Use the approval up in the transaction of the intent. Raises NotApproved."""
    try:
        approvals.use(approval=approval, binding=binding, at=at)
    except ApprovalClosed as error:
        raise NotApproved(error.message) from error
