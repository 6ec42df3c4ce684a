"""Reviews of grants: somebody looked at them, and they are still wanted."""

from collections.abc import Iterable
from datetime import datetime

from audit.actor import Actor, Target
from audit.web import Rights
from core.errors import Invalid
from gateway.selectors.audit_reports.access import named
from gateway.selectors.audit_reports.parts import Asked
from policy.holders import Holder
from policy.services import grants
from policy.services.grants import Reviewed


def review(
    *, ids: Iterable[str], reason: str, rights: Rights, actor: Actor, at: datetime
) -> int:
    """Note that grants were reviewed, each on record; how many. Raises Invalid."""
    wanted = [
        int(one) for one in ids if one.isascii() and one.isdigit() and len(one) < 19
    ]
    found = named(Asked(rights=rights, at=at), wanted)
    if len(found) < len(set(wanted)):
        raise Invalid("Some of these grants are gone: load the page again.")
    return grants.review(
        reviewed={pk: _reviewed(*one) for pk, one in found.items()},
        reason=reason,
        actor=actor,
        at=at,
    )


def _reviewed(holder: Holder, subject: str) -> Reviewed:
    kind, _, name = subject.partition(":")
    label = f"tag {name}" if kind == "tag" else name
    return Reviewed(holder, Target(kind, name[:120], label[:200]))
