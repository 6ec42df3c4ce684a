"""REST endpoints of the sealed tree: checkpoints, proofs, evidence."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit import selectors, tree
from audit.evidence import bundles
from audit.filters import EventFilter
from audit.models import Checkpoint
from audit.web import AUDIT_READ, Rights, actor_of
from core.clock import now
from core.errors import Invalid
from core.tables import filters_of

_SCOPE = "audit:read"


class CheckpointSerializer(serializers.ModelSerializer[Checkpoint]):
    """A signed checkpoint of the trail."""

    class Meta:
        model = Checkpoint
        fields = ("size", "at", "note")


class ProofSerializer(serializers.Serializer[Any]):
    """That an event is in the tree of a checkpoint (RFC 9162, 2.1.3); hashes in hex."""

    index = serializers.IntegerField(help_text="Place of the leaf, from 0")
    size = serializers.IntegerField(help_text="Leaves of the checkpoint's tree")
    leaf = serializers.CharField()
    path = serializers.ListField(child=serializers.CharField())
    checkpoint = serializers.CharField(help_text="C2SP tlog-checkpoint note")


class ConsistencySerializer(serializers.Serializer[Any]):
    """That the second tree begins with the first (RFC 9162, 2.1.4); hashes in hex."""

    first = serializers.IntegerField()
    second = serializers.IntegerField()
    path = serializers.ListField(child=serializers.CharField())


class BySize(CursorPagination):
    """The newest first."""

    ordering = "-size"
    page_size = 100


class _Request(Request):
    rights: Rights


class CheckpointList(generics.ListAPIView[Checkpoint]):
    """Signed checkpoints, the newest first: keep them elsewhere, as anchors."""

    queryset = Checkpoint.objects.all()
    required_scope = _SCOPE
    capability = AUDIT_READ
    serializer_class = CheckpointSerializer
    pagination_class = BySize
    filter_backends = []


class EventProof(APIView):
    """The inclusion proof of one event against the newest checkpoint."""

    required_scope = _SCOPE
    capability = AUDIT_READ
    request: _Request

    @extend_schema(responses=ProofSerializer)
    def get(self, request: _Request, uid: str) -> Response:
        event = selectors.visible_event(request.rights, uid)
        return Response(tree.prove(event).as_dict())


class Consistency(APIView):
    """The consistency proof between two sizes of the tree."""

    required_scope = _SCOPE
    capability = AUDIT_READ

    @extend_schema(
        parameters=[
            OpenApiParameter("first", int, required=True),
            OpenApiParameter("second", int, required=True),
        ],
        responses=ConsistencySerializer,
    )
    def get(self, request: Request) -> Response:
        first, second = (_size(request, name) for name in ("first", "second"))
        path = tree.consistency(first, second)
        return Response(
            {"first": first, "second": second, "path": [one.hex() for one in path]}
        )


class Evidence(APIView):
    """The evidence bundle of the events that the explorer's filters find."""

    required_scope = _SCOPE
    capability = AUDIT_READ
    request: _Request

    @extend_schema(
        parameters=[
            OpenApiParameter("q", str, description="The explorer's query"),
            OpenApiParameter("run", str),
            OpenApiParameter("period", str),
        ],
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
    )
    def get(self, request: _Request) -> HttpResponse:
        events: QuerySet[Any] = selectors.visible_events(request.rights)
        found = EventFilter(request.query_params, queryset=events)
        if found.problems:
            raise Invalid(" ".join(found.problems))
        return bundles.download(
            found=found.qs,
            name="evidence",
            filters=filters_of(request._request),
            actor=actor_of(request._request),
            at=now(),
        )


def _size(request: Request, name: str) -> int:
    raw = request.query_params.get(name, "")
    if not raw.isascii() or not raw.isdigit() or len(raw) > 18:
        raise Invalid(f"{name} must be a number of events, such as 100.")
    return int(raw)
