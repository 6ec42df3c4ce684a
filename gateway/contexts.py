"""What every page's frame needs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

from core.clock import now
from gateway.selectors.approvals import count_waiting
from policy import access as can
from policy.access import Access


@dataclass(frozen=True, slots=True)
class Place:
    """A link of the navigation. ``key`` is pressed after ``g`` to go there."""

    label: str
    url_name: str
    icon: str
    key: str
    capability: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A place as one page shows it; ``count`` is what waits there for this person."""

    label: str
    url: str
    icon: str
    key: str
    current: bool
    count: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """Links under a heading; the first section has none."""

    label: str
    links: tuple[Link, ...]


_PLACES: tuple[tuple[str, tuple[Place, ...]], ...] = (
    (
        "",
        (
            Place("Overview", "overview", "home", "o"),
            Place("Runs", "runs", "activity", "r", can.RUNS_READ),
            Place("Tasks", "tasks", "check", "3", can.RUNS_READ),
            Place("Approvals", "approvals", "inbox", "v", can.APPROVALS_DECIDE),
            Place("Playground", "playground", "terminal-2", "p", can.RUNS_EXECUTE),
        ),
    ),
    (
        "Catalog",
        (
            Place("Servers", "servers", "server", "s", can.CATALOG_READ),
            Place("Tools", "tools", "tool", "t", can.CATALOG_READ),
            Place("Model servers", "model_servers", "world", "2", can.CATALOG_READ),
        ),
    ),
    (
        "Policy",
        (
            Place("Access", "access", "lock", "l", can.POLICY_READ),
            Place("Rules", "rules", "list-details", "x", can.POLICY_READ),
            Place("Explain", "explain", "help", "w", can.POLICY_READ),
            Place("Quotas", "quotas", "gauge", "q", can.POLICY_READ),
        ),
    ),
    (
        "Costs",
        (
            Place("Reports", "reports", "chart-bar", "i", can.COSTS_READ),
            Place("Explorer", "costs", "report-money", "c", can.COSTS_READ),
            Place("Budgets", "budgets", "gauge", "6", can.COSTS_READ),
            Place("Chargeback", "chargeback", "receipt-2", "7", can.COSTS_READ),
            Place("Prices", "prices", "receipt-2", "b", can.COSTS_READ),
            Place("Platform costs", "platform_costs", "server", "5", can.COSTS_READ),
            Place("Exchange rates", "rates", "receipt-2", "4", can.COSTS_READ),
        ),
    ),
    (
        "Audit",
        (
            Place("Events", "audit", "shield-check", "a", can.AUDIT_READ),
            Place("Verify", "verify", "check", "j", can.AUDIT_READ),
            Place("Sinks", "audit_sinks", "download", "d", can.AUDIT_READ),
            Place("Retention", "retention", "clock", "z", can.AUDIT_READ),
            Place("Reports", "audit_reports", "list-details", "f", can.AUDIT_READ),
        ),
    ),
    (
        "Settings",
        (
            Place("Teams", "teams", "users", "m", can.IDENTITY_READ),
            Place("People", "people", "user", "u", can.IDENTITY_ADMIN),
            Place("Keys", "keys", "key", "k", can.IDENTITY_READ),
            Place("Environments", "environments", "world", "e", can.IDENTITY_READ),
            Place(
                "Approver groups", "approver_groups", "check", "h", can.IDENTITY_READ
            ),
            Place("Notifications", "notifications", "bell", "n", can.IDENTITY_ADMIN),
            Place("System", "system", "list-details", "y", can.IDENTITY_ADMIN),
        ),
    ),
)


def navigation(request: HttpRequest) -> dict[str, Any]:
    """The person's access and the places it leads to."""
    access: Access | None = getattr(request, "access", None)
    user = getattr(request, "user", None)
    if access is None or user is None or not user.is_authenticated:
        return {"access": access, "navigation": ()}
    # Parts of pages have no frame: they must not pay for its count.
    sections = SimpleLazyObject(partial(_all_sections, access, request.path))
    return {
        "access": access,
        "navigation": sections,
        "may_decide": access.may(can.APPROVALS_DECIDE),
    }


def _all_sections(access: Access, path: str) -> tuple[Section, ...]:
    return tuple(_sections(access, path))


def _sections(access: Access, path: str) -> Iterator[Section]:
    urls = [
        url for _, places in _PLACES for one in places if (url := _url(one.url_name))
    ]
    current = _current(urls, path)
    for label, places in _PLACES:
        links = tuple(
            Link(
                place.label,
                url,
                place.icon,
                place.key,
                url == current,
                _count(place, access),
            )
            for place in places
            if not place.capability or access.may(place.capability)
            if (url := _url(place.url_name))
        )
        if links:
            yield Section(label, links)


def _count(place: Place, access: Access) -> int:
    """What waits at a place; asked once a page, and only of those who may decide."""
    return count_waiting(access, at=now()) if place.url_name == "approvals" else 0


def _current(urls: Iterable[str], path: str) -> str:
    """The place that ``path`` is, or is below: the nearest one; "" for none."""
    above = (
        url for url in urls if path == url or (url != "/" and path.startswith(url))
    )
    return max(above, key=len, default="")


def _url(name: str) -> str:
    """The path of a page; empty while this installation has no such page."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
