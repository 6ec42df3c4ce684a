"""REST endpoints of both questions: what can they call, and who can call this?"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from gateway.selectors import reach
from gateway.selectors.tools import tool_named
from policy import scopes
from policy.access import POLICY_READ
from policy.api.views import ApiRequest


def _text(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description)


_PLACE = _text("environment", "Else the first one")


class ReachableSerializer(serializers.Serializer[Any]):
    """A tool that can be called there, with every grant that lets it be."""

    name = serializers.CharField()
    effect = serializers.CharField()
    through = serializers.ListField(child=serializers.CharField())
    in_scope = serializers.BooleanField(
        help_text="Of a key: whether its scopes cover the tool as well."
    )


class ByName(PageNumberPagination):
    """Tools by their names."""

    page_size = 200


class ReachList(generics.GenericAPIView[Any]):
    """What a team, a role or a key can call in an environment, and through what."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ
    serializer_class = ReachableSerializer
    pagination_class = ByName
    request: ApiRequest

    @extend_schema(
        operation_id="policy_reach_list",
        responses=ReachableSerializer(many=True),
        parameters=[
            _text("holder", "team:SLUG or role:ROLE"),
            _text("key", "The number of a key, in place of a holder"),
            _text("q", "Words in the names of tools"),
            _PLACE,
        ],
    )
    def get(self, request: ApiRequest) -> Response:
        """The tools by name."""
        query = request.query_params
        found = reach.reached(
            request.rights,
            key=query.get("key", ""),
            holder=query.get("holder", ""),
            environment=query.get("environment", ""),
        )
        page = self.paginate_queryset(found.reach.named(query.get("q", "")))
        shown = ReachableSerializer(page or [], many=True)
        return self.get_paginated_response(shown.data)


class CallerSerializer(serializers.Serializer[Any]):
    """A grant, a key or a person through which a tool can be called."""

    kind = serializers.CharField()
    caller = serializers.CharField()
    team = serializers.CharField(allow_blank=True)
    environment = serializers.CharField(allow_blank=True)
    through = serializers.CharField()


class CallersSerializer(serializers.Serializer[Any]):
    """Who can call a tool in one environment."""

    tool = serializers.CharField()
    environment = serializers.CharField()
    offered = serializers.BooleanField()
    out_of_scope = serializers.IntegerField(
        help_text="Keys of granted teams whose scopes leave the tool out."
    )
    callers = CallerSerializer(many=True)


class CallerList(APIView):
    """Who can call a tool in an environment, and through what."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ

    @extend_schema(responses=CallersSerializer, parameters=[_PLACE])
    def get(self, request: ApiRequest, server: str, name: str) -> Response:
        """Grants, the keys of teams one may see, and people by role."""
        tool = tool_named(server, name)
        place = reach.place_named(request.query_params.get("environment", ""))
        found = reach.callers_of(tool, place, rights=request.rights, at=now())
        return Response(
            {
                "tool": tool.full_name,
                "environment": place,
                "offered": found.offered,
                "out_of_scope": found.out_of_scope,
                "callers": [
                    dict(zip(reach.CALLER_COLUMNS, row, strict=True))
                    for row in found.rows()
                ],
            }
        )
