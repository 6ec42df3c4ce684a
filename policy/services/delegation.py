"""What a key may hand on: never more than it has itself."""

from collections.abc import Sequence
from datetime import datetime

from core.errors import Denied
from policy import scopes
from policy.models import ApiKey
from policy.principal import Principal


def check_delegation(
    *,
    principal: Principal,
    team: str,
    environment: str,
    granted: Sequence[str],
    expires_at: datetime | None,
) -> None:
    """Refuse a new key that could do more, elsewhere or for longer. Raises Denied."""
    if team != principal.team:
        raise Denied(f"A key of {principal.team} makes keys of {principal.team} only.")
    if environment != principal.environment:
        raise Denied(f"A key of {principal.environment} makes keys of it only.")
    beyond = [one for one in granted if not scopes.covers(principal.scopes, one)]
    if beyond:
        raise Denied(
            f"The key that asks lacks {', '.join(beyond)} itself, so that it cannot "
            "hand it on.",
            details={"beyond": beyond},
        )
    own = ApiKey.objects.values_list("expires_at", flat=True).get(prefix=principal.key)
    if own and (expires_at is None or expires_at > own):
        raise Denied(
            f"The key that asks expires at {own:%Y-%m-%d %H:%M} UTC: choose "
            "expires_at no later than that."
        )
