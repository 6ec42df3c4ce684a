"""Tool servers as the catalog's pages show them."""

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from core.errors import NotFound
from gateway.models import Server, Tool


def servers() -> QuerySet[Server]:
    """Every server with ``tool_count`` and ``unconfirmed`` (effects to review)."""
    offered = Q(tools__removed_at=None)
    return Server.objects.annotate(
        tool_count=Count("tools", filter=offered),
        unconfirmed=Count("tools", filter=offered & Q(tools__effect_confirmed_by="")),
    ).order_by("name", "pk")


def server_named(name: str) -> Server:
    """One server. Raises NotFound."""
    server = Server.objects.filter(name=name).first()
    if server is None:
        raise NotFound(
            f"There is no server {name}: choose one from the catalog, or add it."
        )
    return server


@dataclass(frozen=True, slots=True)
class Review:
    """What stands between a server's tools and the agents."""

    unconfirmed: int
    enabled_nowhere: int
    granted: bool

    @property
    def done(self) -> bool:
        return self.granted and not self.unconfirmed and not self.enabled_nowhere


def review_of(server: Server, *, granted: bool) -> Review:
    """How much of a server is still to be reviewed; one query."""
    offered = Tool.objects.filter(server=server, removed_at=None)
    counts = offered.aggregate(
        unconfirmed=Count("pk", distinct=True, filter=Q(effect_confirmed_by="")),
        nowhere=Count("pk", distinct=True, filter=Q(environments=None)),
    )
    return Review(counts["unconfirmed"], counts["nowhere"], granted)


def tools_of(server: Server) -> QuerySet[Tool]:
    """The tools a server offers now, without their schemas."""
    return (
        Tool.objects.filter(server=server, removed_at=None)
        .select_related("server", "current")
        .defer("current__input_schema", "current__output_schema")
        .prefetch_related("environments")
        .order_by("name", "pk")
    )
