"""Lets teams and roles call servers, tools and tags, and takes it back."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction

from audit.actor import Actor, Target
from gateway.models import Server, Tag, Tool
from gateway.services.catalog import server_target, tool_target
from policy.holders import Holder
from policy.services import grants

CALL_SERVER = "call_server"
CALL_TOOL = "call_tool"
CALL_TAG = "call_tag"
Grantable = Server | Tool | Tag


def give(
    *,
    subjects: Iterable[Grantable],
    holders: Sequence[Holder],
    reason: str,
    actor: Actor,
    at: datetime,
) -> int:
    """Let every holder call every subject; how many grants are new. Raises Invalid.

    A server or a tag stands for its tools, present and future.
    """
    return _change(True, subjects, holders, reason, actor, at)


def take(
    *,
    subjects: Iterable[Grantable],
    holders: Sequence[Holder],
    reason: str,
    actor: Actor,
    at: datetime,
) -> int:
    """Take grants back; how many there were. Raises Invalid.

    Only these very grants go: what is held through others stays.
    """
    return _change(False, subjects, holders, reason, actor, at)


@transaction.atomic
def _change(
    giving: bool,
    subjects: Iterable[Grantable],
    holders: Sequence[Holder],
    reason: str,
    actor: Actor,
    at: datetime,
) -> int:
    return grants.change(
        give=giving,
        holders=holders,
        subjects=[_subject(one) for one in subjects],
        reason=reason,
        actor=actor,
        at=at,
    )


def _subject(one: Grantable) -> grants.Subject:
    if isinstance(one, Server):
        return grants.Subject(CALL_SERVER, one, server_target(one))
    if isinstance(one, Tool):
        return grants.Subject(CALL_TOOL, one, tool_target(one))
    one, _ = Tag.objects.get_or_create(name=one.name)
    return grants.Subject(CALL_TAG, one, Target("tag", one.name, f"tag {one.name}"))
