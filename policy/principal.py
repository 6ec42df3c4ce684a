"""Who a call is made for: an immutable snapshot taken when a key is accepted."""

from dataclasses import dataclass, replace

from audit.actor import Actor

PERSON = "user"


@dataclass(frozen=True, slots=True)
class Principal:
    """A service account acting through a key, or a person acting as one.

    A person with a key of their own (``kind`` is PERSON) has no team and runs nothing.

    Everything metered carries team, cost centre, project and environment from here.
    ``scopes`` bound what the key may use at all. ``roles`` are those of the person who
    runs a script at the playground; a key by itself has none. ``session`` is what the
    client calls its session, if it does.
    """

    kind: str
    id: str
    label: str
    team_id: int
    team: str
    cost_centre: str
    project: str
    environment: str
    scopes: tuple[str, ...]
    roles: tuple[str, ...] = ()
    key_id: int | None = None
    key: str = ""
    address: str = ""
    request_id: str = ""
    trace_id: str = ""
    session: str = ""

    @property
    def actor(self) -> Actor:
        """This principal as the audit trail keeps it."""
        return Actor(
            kind=self.kind,
            id=self.id,
            label=self.label,
            team=self.team,
            environment=self.environment,
            key=self.key,
            address=self.address,
            request_id=self.request_id,
            trace_id=self.trace_id,
        )

    def seen_from(
        self, *, address: str, request_id: str, trace_id: str = ""
    ) -> "Principal":
        """The same principal, with where the request came from."""
        return replace(self, address=address, request_id=request_id, trace_id=trace_id)
