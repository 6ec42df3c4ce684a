"""Tells finance, once, of usage that began to have no cost."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse

from audit.actor import SYSTEM
from audit.services.record import record
from finops import events
from finops.models import UnratedNotice
from finops.selectors.prices import Unrated, unrated_skus
from finops.services.prices import current_book
from policy.routing import FINANCE, Audience
from policy.services import notify

TOLD = (Audience("role", FINANCE),)
"""Whom an e-mail without fixed addresses goes to."""
LOOKED_BACK = timedelta(days=35)
_NAMED = 5
_Slot = tuple[str, str]


def tell_unrated(*, at: datetime) -> int:
    """Tell of each SKU without a cost that was not told of yet; how many there were.

    However many events it has, a SKU is told once, until it has a cost: then its
    notice goes, and it would be told anew. Safe to run twice, also at once.
    """
    book = current_book()
    found = unrated_skus(None, since=at - LOOKED_BACK, book=book)
    lacking = {(one.sku, one.unit): one for one in found if one.lacks}
    told = set(UnratedNotice.objects.values_list("sku", "unit"))
    _forget(told - lacking.keys())
    new = [one for slot, one in lacking.items() if slot not in told]
    return _tell(new, at) if new else 0


def _forget(slots: Iterable[_Slot]) -> None:
    for sku, unit in slots:
        UnratedNotice.objects.filter(sku=sku, unit=unit).delete()


@transaction.atomic
def _tell(found: Sequence[Unrated], at: datetime) -> int:
    """One message for all that is new; what another has told of meanwhile is not."""
    new = []
    for one in sorted(found, key=lambda one: (one.sku, one.unit)):
        _, made = UnratedNotice.objects.get_or_create(
            sku=one.sku, unit=one.unit, defaults={"told_at": at}
        )
        if made:
            new.append(one)
    if not new:
        return 0
    named = ", ".join(f"{one.sku} ({one.lacks})" for one in new[:_NAMED])
    more = f" and {len(new) - _NAMED} more" if len(new) > _NAMED else ""
    text = f"Usage without a cost: {named}{more}. It is in no report until it has one."
    sent = notify.tell(
        notify.UNRATED,
        title="usage without a price",
        text=text,
        path=reverse("unrated"),
        data={
            "skus": [
                {"sku": one.sku, "unit": one.unit, "lacks": one.lacks} for one in new
            ]
        },
        audiences=TOLD,
        at=at,
    )
    record(
        events.USAGE_UNRATED,
        actor=SYSTEM,
        at=at,
        payload={
            "count": len(new),
            "skus": [one.sku for one in new][:20],
            "messages": sent,
        },
    )
    return len(new)
