"""Asks the caller to decide, where the caller is a person who may (elicitation).

Revision 2026-07-28: ``get_run`` of a held run answers ``input_required`` with a form
for each call; the client repeats the request with what the person filled in. What was
asked comes back signed in ``requestState``: any web process can take the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from django.core import signing
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from audit.actor import Target
from audit.services.record import DENY, record
from core.clock import now
from core.errors import Denied, Invalid
from gateway import events
from gateway.models import Run
from gateway.selectors.approvals import asking, own_id, visible_approvals
from gateway.selectors.runs import shown_json
from gateway.services.envelope import page_of
from gateway.services.holds import decide_approval
from policy.models import Approval
from policy.principal import PERSON, Principal
from policy.services.personal_keys import access_of_key

_SALT = "gateway.mcp_server.asking"
_ANSWER_SECONDS = 600
_MOST_FORMS = 10
# More than a person reads in a form; the page shows it better.
_LONGEST_ARGUMENTS = 6_000
_LONGEST_REASON = 400
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "decision": {
            "type": "string",
            "title": "Decision",
            "enum": ["approve", "reject"],
        },
        "reason": {
            "type": "string",
            "title": "Reason",
            "description": "An auditor reads it beside your name.",
            "minLength": 1,
            "maxLength": _LONGEST_REASON,
        },
    },
    "required": ["decision", "reason"],
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person filled in about one call."""

    approval: str
    approve: bool
    reason: str


def can_fill_forms(ctx: Any) -> bool:
    """Whether this request's client shows forms to a person and repeats requests."""
    found = ctx.session.client_capabilities
    if ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS or found is None:
        return False
    offered = found.elicitation
    # Without either mode the client means forms.
    return offered is not None and (offered.form is not None or offered.url is None)


def ask(principal: Principal, uid: str) -> types.InputRequiredResult | None:
    """Forms for the calls of a run that this person may decide on; None without any."""
    if principal.kind != PERSON:
        return None
    access = access_of_key(principal)
    waiting = asking(access, at=now()).filter(run=uid)
    open_ones = waiting.exclude(requesters__contains=[own_id(access)])
    asked = {
        approval.uid: types.ElicitRequest(
            params=types.ElicitRequestFormParams(
                message=message, requested_schema=_FORM
            )
        )
        for approval in open_ones.order_by("step")[:_MOST_FORMS]
        if (message := _message(approval))
    }
    if not asked:
        return None
    state = [principal.id, principal.key, uid, list(asked)]
    return types.InputRequiredResult(
        input_requests=dict(asked), request_state=signing.dumps(state, salt=_SALT)
    )


def answer(
    principal: Principal, run: Run, params: types.CallToolRequestParams
) -> list[Approval]:
    """Decide as the person filled in; what they left open stays so.

    Raises Denied for an answer to what was not asked of this key about this run, and
    what ``decide_approval`` raises; each refusal is on record.
    """
    responses = params.input_responses or {}
    asked = _asked(principal, run, params.request_state)
    verdicts = _verdicts(responses)
    access = access_of_key(principal) if asked else None
    wanted = {verdict.approval for verdict in verdicts}
    theirs = visible_approvals(access).filter(uid__in=wanted) if access else ()
    if not asked or not set(responses) <= set(asked) or len(theirs) < len(wanted):
        raise _refused(principal, run)
    return [
        decide_approval(
            uid=verdict.approval,
            approve=verdict.approve,
            reason=verdict.reason,
            actor=principal.actor,
            at=now(),
        )
        for verdict in verdicts
    ]


def _message(approval: Approval) -> str:
    arguments = shown_json(approval.arguments)
    if len(arguments) > _LONGEST_ARGUMENTS:
        return ""
    return (
        f"May this call be made?\n\n{approval.tool} (version {approval.tool_version})\n"
        f"{arguments}\n\n"
        f"Step {approval.step} of {approval.run}, asked by "
        f"{', '.join(approval.requesters)} of {approval.team} in "
        f"{approval.environment}: {approval.asked_because}. Open until "
        f"{approval.expires_at:%Y-%m-%d %H:%M} UTC. The script: {page_of(approval.uid)}"
    )


def _asked(principal: Principal, run: Run, state: str | None) -> Sequence[str]:
    """The approvals of which this key was asked; none where the state is not ours."""
    try:
        signed = signing.loads(state or "", salt=_SALT, max_age=_ANSWER_SECONDS)
    except signing.BadSignature:
        return ()
    who, key, uid, asked = signed
    ours = (who, key, uid) == (principal.id, principal.key, run.uid)
    return list(asked) if ours else ()


def _verdicts(responses: types.InputResponses) -> list[Verdict]:
    found = []
    for uid, response in responses.items():
        if not isinstance(response, types.ElicitResult):
            raise Invalid("Answer each form with action and content.")
        if response.action != "accept":
            continue
        content = response.content or {}
        decision, reason = content.get("decision"), content.get("reason")
        if decision not in ("approve", "reject") or not isinstance(reason, str):
            raise Invalid("Fill in both: decision (approve or reject) and reason.")
        found.append(Verdict(uid, decision == "approve", reason))
    return found


def _refused(principal: Principal, run: Run) -> Denied:
    record(
        events.ANSWER_REFUSED,
        actor=principal.actor,
        at=now(),
        target=Target("run", run.uid, run.uid),
        run=run.uid,
        decision=DENY,
        reasons=["it answers nothing that this key was asked within ten minutes"],
    )
    return Denied(
        "This answers nothing that you were asked within the last ten minutes: call "
        "get_run again."
    )
