"""REST endpoints of the catalog and the runs."""

from typing import Any

from django.db.models import Q, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actor import Actor
from audit.web import Rights, actor_of
from core.clock import now
from core.errors import Denied, NotFound
from gateway.api.serializers import (
    ExecuteSerializer,
    RunSerializer,
    ServerSerializer,
    ToolSerializer,
    WholeRunSerializer,
    WholeToolSerializer,
)
from gateway.catalog import Usable, usable_by
from gateway.filters import RunFilter, ServerFilter, ToolFilter
from gateway.models import Run, Server, Tool
from gateway.selectors.runs import run_for, visible_runs
from gateway.selectors.servers import servers
from gateway.selectors.tools import tool_named, tools
from gateway.services.cancel import cancel
from gateway.services.envelope import envelope
from gateway.services.runs import submit
from policy import scopes
from policy.access import CATALOG_READ, RUNS_EXECUTE, RUNS_READ
from policy.principal import Principal


class ByKey(CursorPagination):
    """Pages that stay put while rows are added."""

    ordering: Any = "-pk"
    page_size = 50


class ByName(ByKey):
    """Pages of the catalog, by name."""

    ordering = ("name", "pk")


class ApiRequest(Request):
    """A request once HasScope has let it in."""

    rights: Rights


def _usable(request: Request) -> Usable | None:
    """What the key may use; None for a person, who may see the whole catalog."""
    return usable_by(request.auth) if isinstance(request.auth, Principal) else None


class ServerList(generics.ListAPIView[Server]):
    """Servers. A key sees those of which it may call a tool."""

    required_scope = scopes.CATALOG_READ
    capability = CATALOG_READ
    serializer_class = ServerSerializer
    pagination_class = ByName
    filter_backends = [DjangoFilterBackend]
    filterset_class = ServerFilter

    def get_queryset(self) -> QuerySet[Server]:
        usable = _usable(self.request)
        rows = servers().defer("secrets")
        if usable is None:
            return rows
        ids = {usable.catalog.tools[name].server_id for name in usable.names}
        return rows.filter(pk__in=ids)


class ToolList(generics.ListAPIView[Tool]):
    """Tools without schemas. A key sees the ones it may call."""

    required_scope = scopes.CATALOG_READ
    capability = CATALOG_READ
    serializer_class = ToolSerializer
    pagination_class = ByName
    filter_backends = [DjangoFilterBackend]
    filterset_class = ToolFilter

    def get_queryset(self) -> QuerySet[Tool]:
        usable = _usable(self.request)
        if usable is None:
            return tools()
        return tools().filter(pk__in=[usable.catalog.tools[n].id for n in usable.names])


class ToolDetail(generics.RetrieveAPIView[Tool]):
    """One tool with its schemas."""

    required_scope = scopes.CATALOG_READ
    capability = CATALOG_READ
    serializer_class = WholeToolSerializer

    def get_object(self) -> Tool:
        server, name = self.kwargs["server"], self.kwargs["name"]
        usable = _usable(self.request)
        if usable is not None and f"{server}.{name}" not in usable.names:
            raise NotFound(f"There is no tool {server}.{name} that this key may use.")
        return tool_named(server, name)


class RunList(generics.ListAPIView[Run]):
    """Runs that the caller may see, newest first; POST executes a script."""

    required_scope = {"GET": scopes.RUNS_READ, "POST": scopes.RUNS_EXECUTE}
    capability = {"GET": RUNS_READ, "POST": RUNS_EXECUTE}
    queryset = Run.objects.none()
    serializer_class = RunSerializer
    pagination_class = ByKey
    filter_backends = [DjangoFilterBackend]
    filterset_class = RunFilter
    request: ApiRequest

    def get_queryset(self) -> QuerySet[Run]:
        return visible_runs(self.request.rights)

    @extend_schema(request=ExecuteSerializer, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: ApiRequest) -> Response:
        """Queue a script as the key's service account; answers with its envelope.

        The run is under way when this answers: ask the address in ``Location`` for
        its end.
        """
        if not isinstance(request.auth, Principal):
            raise Denied(
                "Scripts run as a service account: send one of its keys, or use the "
                "playground."
            )
        wanted = ExecuteSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        run = submit(principal=request.auth, at=now(), **wanted.validated_data)
        place = request.build_absolute_uri(f"{request.path}{run.uid}/")
        return Response(envelope(run), status=202, headers={"Location": place})


class RunDetail(generics.RetrieveAPIView[Run]):
    """One run with its script, envelope and journal."""

    required_scope = scopes.RUNS_READ
    capability = RUNS_READ
    serializer_class = WholeRunSerializer
    request: ApiRequest

    def get_object(self) -> Run:
        return run_for(self.request.rights, self.kwargs["uid"])


class RunCancel(APIView):
    """Asks for a run to be stopped."""

    required_scope = scopes.RUNS_EXECUTE
    capability = RUNS_EXECUTE
    request: ApiRequest

    @extend_schema(request=None, responses={202: OpenApiTypes.OBJECT})
    def post(self, request: ApiRequest, uid: str) -> Response:
        """Ask; the run ends a moment later, and one that has ended stays as it is."""
        teams = request.rights.teams_for(RUNS_EXECUTE)
        mine = Q() if teams is None else Q(team__in=teams)
        if not Run.objects.filter(mine, uid=uid).exists():
            raise NotFound(f"There is no run {uid[:40]} that you may cancel.")
        run = cancel(uid=uid, actor=_actor(request), at=now())
        return Response(envelope(run), status=202)


def _actor(request: Request) -> Actor:
    if isinstance(request.auth, Principal):
        return request.auth.actor
    return actor_of(request._request)
