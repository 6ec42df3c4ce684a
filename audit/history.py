"""The History part of a page: what the trail has on the thing it shows."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from audit.models import Event
from audit.query import Terms, term, text_of
from audit.selectors import history
from audit.web import AUDIT_READ, Rights


def history_of(
    rights: Rights, kind: str, target: str, *, name: str = ""
) -> dict[str, Any]:
    """What ``audit/history.html`` shows of one target; nothing to who may not read.

    ``name``: only events whose kind begins so. One query.
    """
    terms: Terms = (term("target", f"{kind}/{target}"),)
    if name:
        terms = (*terms, term("name", name, prefix=True))
    if not rights.may(AUDIT_READ):
        return shown(rights, [], terms)
    return shown(rights, history(kind, target, name=name), terms)


def shown(rights: Rights, events: Sequence[Event], terms: Terms) -> dict[str, Any]:
    """The same for events that were found elsewhere; ``terms`` find them all."""
    may = rights.may(AUDIT_READ)
    return {
        "may_audit": may,
        "events": events if may else [],
        "trail_url": trail_url(terms) if may else "",
    }


def trail_url(terms: Terms) -> str:
    """The explorer with everything that these terms find."""
    query = urlencode({"q": text_of(terms), "period": "all"})
    return f"{reverse('audit')}?{query}"
