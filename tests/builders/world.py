"""The usual people and one of each thing, all of the sales team."""

from typing import Any

from guardian.models import GroupObjectPermission

from core.clock import now
from gateway.services import policy_replay
from policy.models import Membership, Quota, SandboxPolicy
from tests.builders.audit import make_event, make_view, seal_events
from tests.builders.budgets import make_budget
from tests.builders.catalog import (
    make_grant,
    make_model_server,
    make_server,
    make_tool,
)
from tests.builders.chargeback import make_disputed
from tests.builders.finops import make_fact
from tests.builders.holds import (
    make_approval,
    make_group,
    make_held_run,
    make_unknown,
)
from tests.builders.identity import (
    ACTOR,
    make_account,
    make_cast,
    make_key,
    make_personal_key,
)
from tests.builders.notifications import make_channel, make_message
from tests.builders.policy import make_draft_over_a_version
from tests.builders.reports import make_annotation, make_schedule
from tests.builders.retention import make_hold
from tests.builders.runs import AT, make_run
from tests.builders.sinks import make_file_sink
from tests.integration.access_table import CAST


def make_world() -> dict[str, Any]:
    """People by their part, and what addresses name each thing by."""
    cast = make_cast()
    draft = make_draft_over_a_version()
    server = make_server(name="crm")
    tool = make_tool(server, name="list_orders")
    quota = Quota.objects.create(team=cast.team, metric="calls", window="day", limit=9)
    make_grant(cast.team, server)
    make_model_server("gpu")
    world = {
        "sink": make_file_sink().pk,
        "hold": make_hold().pk,
        "anonymous": None,
        **{name: getattr(cast, name) for name in CAST[1:]},
        "run": make_run(team="sales", status="running").uid,
        "task": make_fact(team="sales").task,
        "personal": make_personal_key(cast.approver).key.pk,
        "key": make_key(make_account(cast.team)).key.pk,
        "event": make_event().uid,
        "grant": str(GroupObjectPermission.objects.latest("pk").pk),
        "view": make_view().pk,
        "membership": Membership.objects.get(user=cast.member).pk,
        "person": cast.member.pk,
        "quota": quota.pk,
        "budget": make_budget("10", team=cast.team).uid,
        "tool": tool.pk,
        "draft": draft.uid,
        "replay": policy_replay.ask(
            draft=draft.uid, days=1, teams=None, actor=ACTOR, at=now()
        ).uid,
        "approval": make_approval(make_held_run(team="sales")).uid,
        "unknown": make_unknown().pk,
        "group": make_group("board").slug,
        **_channel(),
        "note": make_annotation().uid,
        "schedule": make_schedule().uid,
        **make_disputed(cast.member),
        "gvisor_tool": SandboxPolicy.objects.create(
            tool="crm.drop", require_gvisor=True, changed_at=AT
        ).pk,
    }
    seal_events()
    return world


def _channel() -> dict[str, Any]:
    """A webhook with a message that was given up."""
    channel = make_channel()
    message = make_message(channel, state="dead")
    return {"channel": channel.pk, "message": message.pk}
