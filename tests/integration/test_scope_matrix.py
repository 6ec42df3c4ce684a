"""Every REST route and method × every scope: exactly the keys that hold it pass.

Routes, methods and scopes are found, not listed: a new route is tried as soon as it is
in the URLs, and fails while it declares no scope.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.urls.converters import IntConverter

from audit.models import Event
from policy import scopes
from policy.api.permissions import HasScope, People
from tests.builders.identity import make_account, make_key

METHODS = ("get", "post", "put", "patch", "delete")
EACH = tuple(scope for scope, _ in scopes.EXPLAINED)
HELD = tuple(
    dict.fromkeys(
        (
            *EACH,
            *(f"{area}:*" for area in scopes.AREAS),
            "tools:crm.*",
            "tools:crm.list_orders",
        )
    )
)


@dataclass(frozen=True, slots=True)
class Route:
    """A method of a view. ``needed`` is None where it declares no scope."""

    name: str
    path: str
    method: str
    needed: str | None
    people_only: bool
    guarded: bool

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.name}"


def _patterns(found: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for one in found:
        if isinstance(one, URLResolver):
            yield from _patterns(one.url_patterns)
        else:
            yield one


def _path(pattern: URLPattern) -> str:
    values = {
        name: 1 if isinstance(converter, IntConverter) else "x"
        for name, converter in pattern.pattern.converters.items()
    }
    return reverse(str(pattern.name), kwargs=values)


def _needed(view: Any, method: str) -> str | None:
    declared = getattr(view, "required_scope", None)
    if isinstance(declared, dict):
        return declared.get(method.upper())
    return declared


def routes() -> list[Route]:
    """Each method of each view of the REST API."""
    found = []
    for pattern in _patterns(get_resolver().url_patterns):
        if not str(pattern.pattern).startswith("api/") and "api_" not in str(
            pattern.name
        ):
            continue
        view: Any = getattr(pattern.callback, "view_class", None)
        kinds = getattr(view, "permission_classes", ())
        guarded = bool(kinds) and all(issubclass(kind, HasScope) for kind in kinds)
        people = getattr(view, "people_only", False)
        people = people or any(issubclass(kind, People) for kind in kinds)
        for method in METHODS:
            if hasattr(view, method):
                found.append(
                    Route(
                        str(pattern.name),
                        _path(pattern),
                        method,
                        _needed(view, method),
                        people,
                        guarded,
                    )
                )
    return found


def test_every_route_declares_a_scope_that_is_explained() -> None:
    found = routes()
    assert len(found) > 40
    assert [str(one) for one in found if one.needed is None] == []
    assert [str(one) for one in found if not one.guarded] == []
    known = set(EACH) | {""}
    assert [str(one) for one in found if one.needed not in known] == []
    # Without a scope a route takes people alone, or shows the document of them all.
    free = {one.name for one in found if not one.needed and not one.people_only}
    assert free == {"api_schema"}


def test_what_may_be_held_is_what_the_grammar_takes() -> None:
    assert scopes.parse(" ".join(HELD)) == HELD


@pytest.mark.django_db
def test_exactly_the_keys_with_the_scope_pass() -> None:
    keys = {
        scope: make_key(make_account(), name=scope, scopes=[scope]).text
        for scope in HELD
    }
    wrong = [
        found
        for route in routes()
        for scope, key in keys.items()
        if (found := _wrong(route, scope, key))
    ]
    assert wrong == []


def _wrong(route: Route, scope: str, key: str) -> str:
    """What is wrong with the answer to a key that holds ``scope`` alone."""
    with transaction.atomic():
        before = _denials()
        response = getattr(Client(), route.method)(
            route.path,
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        denied = _denials() - before
        transaction.set_rollback(True)
    said = f"{route} with {scope}: {response.status_code}, {denied} denials on record"
    if response.status_code >= 500 or response.status_code in (401, 405):
        return said
    if route.people_only:
        return "" if (response.status_code, denied) == (403, 1) else said
    holds = not route.needed or _includes(scope, route.needed)
    if not holds:
        body = response.json()
        needs = body.get("error", {}).get("details", {}).get("needs")
        # A google.rpc.Status has no details of ours: its message names the scope.
        if needs is None and route.needed and route.needed in body.get("message", ""):
            needs = route.needed
        refused = (response.status_code, needs, denied) == (403, route.needed, 1)
        return "" if refused else said
    return "" if (response.status_code, denied) != (403, 1) else said


def _includes(scope: str, needed: str) -> bool:
    """The grammar's meaning, told anew: itself, or all that a last ``*`` stands for."""
    area, _, name = scope.partition(":")
    wanted_area, _, wanted = needed.partition(":")
    if area != wanted_area:
        return False
    if name == "*":
        return True
    if name.endswith(".*"):
        return wanted.startswith(name[:-1])
    return name == wanted


def _denials() -> int:
    return Event.objects.filter(name="access.denied").count()
