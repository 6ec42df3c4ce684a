"""REST endpoints of quotas."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from core.errors import Invalid, NotFound
from policy import quota_selectors as selectors
from policy import scopes
from policy.access import POLICY_ADMIN, POLICY_READ
from policy.api.quota_serializers import (
    LimitSerializer,
    QuotaDetailSerializer,
    QuotaRequestSerializer,
    QuotaSerializer,
    RemovalSerializer,
)
from policy.api.views import ApiRequest, acting
from policy.models import ApiKey, Environment, Quota, Team
from policy.quota_forms import QuotaFilter
from policy.services import quota_changes
from policy.services.quota_changes import Scope


class Fullest(PageNumberPagination):
    """Pages of a list that is short, in the order that matters."""

    page_size = 50


class QuotaList(generics.GenericAPIView[Quota]):
    """Quotas that the caller may see, the fullest first; POST sets one."""

    required_scope = {"GET": scopes.POLICY_READ, "POST": scopes.POLICY_WRITE}
    capability = {"GET": POLICY_READ, "POST": POLICY_ADMIN}
    serializer_class = QuotaSerializer
    pagination_class = Fullest
    queryset = Quota.objects.none()
    filterset_class = QuotaFilter
    request: ApiRequest

    @extend_schema(operation_id="quotas_list", responses=QuotaSerializer(many=True))
    def get(self, request: ApiRequest) -> Response:
        """Filters are those of the page: team, metric, scope, state, key, …"""
        at = now()
        found = selectors.with_use(selectors.visible_quotas(request.rights), at=at)
        quotas = QuotaFilter(request.query_params, queryset=found).qs
        page = self.paginate_queryset(quotas)
        shown = selectors.lines(page or [], at=at)
        return self.get_paginated_response(QuotaSerializer(shown, many=True).data)

    @extend_schema(request=QuotaRequestSerializer, responses={201: QuotaSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Set the quota of a scope; one that exists for the same is changed."""
        wanted = QuotaRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values: dict[str, Any] = wanted.validated_data
        at = now()
        quota = quota_changes.set_quota(
            scope=_scope(request, values),
            metric=values["metric"],
            window=values["window"],
            limit=values["limit"],
            reason=values["reason"],
            actor=acting(request),
            at=at,
        )
        line = selectors.line_of(quota, at=at)
        return Response(QuotaSerializer(line).data, status=201)


class QuotaDetail(APIView):
    """One quota, with its past windows."""

    required_scope = {"GET": scopes.POLICY_READ, "PATCH": scopes.POLICY_WRITE}
    capability = {"GET": POLICY_READ, "PATCH": POLICY_ADMIN}

    @extend_schema(responses=QuotaDetailSerializer)
    def get(self, request: ApiRequest, pk: int) -> Response:
        """Use against the limit now and in past windows."""
        at = now()
        quota = selectors.quota_for(request.rights, pk)
        body = QuotaSerializer(selectors.line_of(quota, at=at)).data
        past = [asdict(window) for window in selectors.history(quota, at=at)]
        shown = QuotaDetailSerializer().fields["history"].to_representation(past)
        return Response({**body, "history": shown})

    @extend_schema(request=LimitSerializer, responses=QuotaSerializer)
    def patch(self, request: ApiRequest, pk: int) -> Response:
        """Give it another limit, in force at once."""
        quota = selectors.quota_for(request.rights, pk, POLICY_ADMIN)
        wanted = LimitSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        at = now()
        changed = quota_changes.change_quota(
            quota_id=quota.pk, **wanted.validated_data, actor=acting(request), at=at
        )
        return Response(QuotaSerializer(selectors.line_of(changed, at=at)).data)


class QuotaRemove(APIView):
    """Takes a quota away."""

    required_scope = scopes.POLICY_WRITE
    capability = POLICY_ADMIN

    @extend_schema(request=RemovalSerializer, responses={204: None})
    def post(self, request: ApiRequest, pk: int) -> Response:
        """Remove it, with the reason for the trail."""
        quota = selectors.quota_for(request.rights, pk, POLICY_ADMIN)
        wanted = RemovalSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        quota_changes.remove_quota(
            quota_id=quota.pk,
            **wanted.validated_data,
            actor=acting(request),
            at=now(),
        )
        return Response(status=204)


def _scope(request: ApiRequest, values: dict[str, Any]) -> Scope:
    """Whose acts count. Raises Invalid, NotFound for what the caller may not limit."""
    team = key = environment = None
    if slug := values["team"]:
        team = Team.objects.filter(slug=slug).first()
        if team is None:
            raise Invalid(f"There is no team {slug}.")
    if prefix := values["key"]:
        keys = ApiKey.objects.select_related("service_account__team")
        key = keys.filter(prefix=prefix).first()
        if key is None:
            raise Invalid(f"There is no key {prefix}.")
    if slug := values["environment"]:
        environment = Environment.objects.filter(slug=slug).first()
        if environment is None:
            raise Invalid(f"There is no environment {slug}.")
    teams = request.rights.teams_for(POLICY_ADMIN)
    owner = team or (key.service_account.team if key else None)
    if teams is not None and (owner is None or owner.slug not in teams):
        raise NotFound("This key may limit its own team alone: name it as the team.")
    return Scope(team=team, key=key, environment=environment, tool=values["tool"])
