"""REST endpoint of what people settle about a tool."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.web import actor_of
from core.clock import now
from gateway.api.serializers import WholeToolSerializer
from gateway.models.catalog import Effect, Idempotency
from gateway.selectors.tools import tool_named
from gateway.services.tool_settings import change_tool
from policy.access import CATALOG_ADMIN
from policy.api.permissions import People


class IdempotencySerializer(serializers.Serializer[Any]):
    """How a tool takes the key of a step, and which tool tells of its use."""

    how = serializers.ChoiceField(choices=Idempotency.choices)
    name = serializers.CharField(max_length=100, default="", allow_blank=True)
    lookup = serializers.CharField(max_length=120, default="", allow_blank=True)


class ToolSettingsSerializer(serializers.Serializer[Any]):
    """What is left out stays as it is."""

    effect = serializers.ChoiceField(choices=Effect.choices, required=False)
    environments = serializers.ListField(
        child=serializers.CharField(max_length=40), required=False, max_length=100
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=100), required=False, max_length=100
    )
    script = serializers.BooleanField(
        required=False, help_text="Whether scripts may call it."
    )
    direct = serializers.BooleanField(
        required=False, help_text="Whether it may be called as an MCP tool of its own."
    )
    needs_approval = serializers.BooleanField(required=False)
    idempotency = IdempotencySerializer(required=False)


class ToolSettings(APIView):
    """Effect, environments, tags, ways of calling and the like, for administrators."""

    permission_classes = [People]
    required_scope = ""
    capability = CATALOG_ADMIN

    @extend_schema(request=ToolSettingsSerializer, responses=WholeToolSerializer)
    def patch(self, request: Request, server: str, name: str) -> Response:
        """Change what is given: all of it, or nothing where some of it is refused."""
        wanted = ToolSettingsSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        change_tool(
            tool_id=tool_named(server, name).pk,
            wanted=wanted.validated_data,
            actor=actor_of(request._request),
            at=now(),
        )
        return Response(WholeToolSerializer(tool_named(server, name)).data)
