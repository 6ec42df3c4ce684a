"""REST endpoints of grants."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from guardian.models import GroupObjectPermission
from rest_framework import generics, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.web import actor_of
from core.clock import now
from core.errors import Invalid
from gateway.selectors.grants import listed, subject_named, visible_grants
from gateway.services import access
from policy import scopes
from policy.access import POLICY_ADMIN, POLICY_READ
from policy.api.permissions import People
from policy.api.views import ApiRequest
from policy.holders import Holder, parse
from policy.services.grants import LONGEST_REASON

_MOST = 200
_HOLDER = "team:SLUG or role:ROLE"
_SUBJECT = "server:NAME, tool:SERVER.TOOL or tag:WORD"


class GrantSerializer(serializers.Serializer[Any]):
    """One grant. An empty environment stands for all of them."""

    holder = serializers.CharField(help_text=_HOLDER)
    environment = serializers.CharField(allow_blank=True)
    subject = serializers.CharField(help_text=_SUBJECT)


class GrantChangeSerializer(serializers.Serializer[Any]):
    """Every subject for every holder, in one environment or in all."""

    holders = serializers.ListField(
        child=serializers.CharField(max_length=100, help_text=_HOLDER),
        min_length=1,
        max_length=_MOST,
    )
    subjects = serializers.ListField(
        child=serializers.CharField(max_length=200, help_text=_SUBJECT),
        min_length=1,
        max_length=_MOST,
    )
    environment = serializers.CharField(max_length=40, default="", allow_blank=True)
    reason = serializers.CharField(max_length=LONGEST_REASON)


class ChangedSerializer(serializers.Serializer[Any]):
    """How many grants are other than before."""

    changed = serializers.IntegerField()


class NewestGrants(CursorPagination):
    """Pages that stay put while rows are added."""

    ordering = "-pk"
    page_size = 100


def _text(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description)


class GrantList(generics.GenericAPIView[GroupObjectPermission]):
    """Grants of the roles and of the teams that the caller may see."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ
    serializer_class = GrantSerializer
    pagination_class = NewestGrants
    queryset = GroupObjectPermission.objects.none()
    request: ApiRequest

    @extend_schema(
        operation_id="grants_list",
        responses=GrantSerializer(many=True),
        parameters=[
            _text("holder", _HOLDER),
            _text("environment", "Grants of this environment alone"),
        ],
    )
    def get(self, request: ApiRequest) -> Response:
        """The newest first."""
        page = self.paginate_queryset(self._found(request))
        shown = GrantSerializer(listed(page or []), many=True)
        return self.get_paginated_response(shown.data)

    def _found(self, request: ApiRequest) -> QuerySet[GroupObjectPermission]:
        found = visible_grants(request.rights)
        query = request.query_params
        if holder := query.get("holder"):
            name = holder.replace("\x00", "")
            found = found.filter(
                Q(group__name=name) | Q(group__name__startswith=f"{name}@")
            )
        if place := query.get("environment"):
            found = found.filter(group__name__endswith=f"@{place}".replace("\x00", ""))
        return found


class _GrantChange(APIView):
    """Only people change grants: a key must not widen what keys may call."""

    permission_classes = [People]
    required_scope = ""
    capability = POLICY_ADMIN
    act = staticmethod(access.give)

    @extend_schema(request=GrantChangeSerializer, responses=ChangedSerializer)
    def post(self, request: Request) -> Response:
        """One transaction: all of it changes, with a reason each, or nothing does."""
        wanted = GrantChangeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values: dict[str, Any] = wanted.validated_data
        changed = self.act(
            subjects=[subject_named(one) for one in dict.fromkeys(values["subjects"])],
            holders=_holders(values["holders"], values["environment"]),
            reason=values["reason"],
            actor=actor_of(request._request),
            at=now(),
        )
        return Response({"changed": changed})


class GrantGive(_GrantChange):
    """Gives grants."""


class GrantTake(_GrantChange):
    """Takes grants back."""

    act = staticmethod(access.take)


def _holders(texts: Sequence[str], environment: str) -> list[Holder]:
    found = []
    for text in texts:
        holder = parse(text)
        if holder is None or holder.environment:
            raise Invalid(f"{text[:60]!r} is no holder: write {_HOLDER}.")
        found.append(Holder(holder.kind, holder.name, environment))
    return found
