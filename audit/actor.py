"""Snapshots of who acted and on what, as the trail keeps them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: ``kind`` is ``user``, ``service_account``, ``system``, ``anonymous``.

    ``key`` is the public part of the key that was used; ``address`` is the client's
    address where a request led to the act, ``trace_id`` that of its ``traceparent``.
    """

    kind: str
    id: str
    label: str
    team: str = ""
    environment: str = ""
    key: str = ""
    address: str = ""
    request_id: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What it was done to."""

    kind: str
    id: str
    label: str


SYSTEM = Actor("system", "system", "Tollgate")
