"""Changes several settings of a tool at once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from audit.actor import Actor
from gateway.models import Tool
from gateway.services import catalog


@transaction.atomic
def change_tool(
    *, tool_id: int, wanted: Mapping[str, Any], actor: Actor, at: datetime
) -> None:
    """Set what ``wanted`` names, each on record by itself. Raises Invalid, NotFound.

    Keys are ``effect``, ``environments``, ``tags``, ``script``, ``direct``,
    ``needs_approval`` and ``idempotency`` (``how``, ``name``, ``lookup``).
    """
    by: dict[str, Any] = {"actor": actor, "at": at}
    if "effect" in wanted:
        catalog.confirm_effect(tool_id=tool_id, effect=wanted["effect"], **by)
    if "environments" in wanted:
        places = wanted["environments"]
        catalog.set_environments(tool_ids=[tool_id], environments=places, **by)
    if "tags" in wanted:
        catalog.set_tags(tool_id=tool_id, tags=wanted["tags"], **by)
    if "script" in wanted or "direct" in wanted:
        tool = Tool.objects.select_for_update().get(pk=tool_id)
        catalog.set_ways(
            tool_id=tool_id,
            script=wanted.get("script", tool.scripted),
            direct=wanted.get("direct", tool.direct),
            **by,
        )
    if "needs_approval" in wanted:
        catalog.set_approval(tool_id=tool_id, needed=wanted["needs_approval"], **by)
    if "idempotency" in wanted:
        catalog.set_idempotency(tool_id=tool_id, **wanted["idempotency"], **by)
