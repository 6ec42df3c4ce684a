"""REST endpoints of teams and keys."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actor import Actor
from audit.web import Rights, actor_of
from core.clock import now
from core.errors import Invalid, NotFound
from policy import scopes, selectors
from policy.access import IDENTITY_ADMIN, IDENTITY_READ
from policy.api.serializers import (
    KeyRequestSerializer,
    KeySerializer,
    NewKeySerializer,
    RevokeSerializer,
    TeamSerializer,
)
from policy.models import ApiKey, Environment, Team
from policy.principal import Principal
from policy.services import keys
from policy.services.delegation import check_delegation
from policy.services.keys import NewKey


class ByKey(CursorPagination):
    """Pages that stay put while rows are added."""

    ordering = "-pk"
    page_size = 50


class ApiRequest(Request):
    """A request once HasScope has let it in."""

    rights: Rights


class TeamList(generics.ListAPIView[Team]):
    """Teams that the caller may see."""

    required_scope = scopes.ADMIN_TEAMS
    capability = IDENTITY_READ
    serializer_class = TeamSerializer
    pagination_class = ByKey
    request: ApiRequest

    def get_queryset(self) -> QuerySet[Team]:
        return selectors.visible_teams(self.request.rights)


class KeyList(generics.ListAPIView[ApiKey]):
    """Keys that the caller may see; POST makes one."""

    required_scope = scopes.ADMIN_KEYS
    capability = {"GET": IDENTITY_READ, "POST": IDENTITY_ADMIN}
    serializer_class = KeySerializer
    pagination_class = ByKey
    request: ApiRequest

    def get_queryset(self) -> QuerySet[ApiKey]:
        return selectors.visible_keys(self.request.rights)

    @extend_schema(request=KeyRequestSerializer, responses={201: NewKeySerializer})
    def post(self, request: ApiRequest) -> Response:
        """Make a key. Its text is in this answer only."""
        wanted = KeyRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        new = _make(request, wanted.validated_data)
        body = {**KeySerializer(new.key).data, "key": new.text}
        return Response(body, status=201, headers={"Cache-Control": "no-store"})


class KeyRevoke(APIView):
    """Makes a key useless."""

    required_scope = scopes.ADMIN_KEYS
    capability = IDENTITY_ADMIN

    @extend_schema(request=RevokeSerializer, responses=KeySerializer)
    def post(self, request: ApiRequest, pk: int) -> Response:
        """Revoke a key, with the reason for the trail."""
        wanted = RevokeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        if not selectors.visible_keys(request.rights).filter(pk=pk).exists():
            raise NotFound("There is no such key that you may see.")
        key = keys.revoke_key(
            key_id=pk,
            reason=wanted.validated_data["reason"],
            actor=acting(request),
            at=now(),
        )
        return Response(KeySerializer(key).data)


def acting(request: Request) -> Actor:
    """The caller as the trail keeps it: the key's holder, or the person."""
    if isinstance(request.auth, Principal):
        return request.auth.actor
    return actor_of(request._request)


@transaction.atomic
def _make(request: ApiRequest, values: dict[str, Any]) -> NewKey:
    granted = scopes.parse(" ".join(values["scopes"]))
    if isinstance(request.auth, Principal):
        check_delegation(
            principal=request.auth,
            team=values["team"],
            environment=values["environment"],
            granted=granted,
            expires_at=values["expires_at"],
        )
    team = selectors.visible_team(request.rights, values["team"])
    environment = Environment.objects.filter(slug=values["environment"]).first()
    if environment is None:
        raise Invalid(f"There is no environment {values['environment']}.")
    project = team.projects.filter(slug=values["project"]).first()
    if project is None:
        raise Invalid(f"{team.name} has no project {values['project']}.")
    return keys.create_key_for(
        team=team,
        account=team.service_accounts.filter(name=values["service_account"]).first(),
        new_account=values["service_account"],
        name=values["name"],
        environment=environment,
        project=project,
        granted=granted,
        actor=acting(request),
        at=now(),
        expires_at=values["expires_at"],
    )
