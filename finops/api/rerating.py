"""REST endpoints that price booked usage anew, the difference first."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from finops.models import Rerating
from finops.services import rerating_plans
from finops.services.rerating import Wanted
from policy import scopes
from policy.access import COSTS_ADMIN
from policy.api.views import ApiRequest, acting


class LookSerializer(serializers.Serializer[Any]):
    """Usage that happened from ``start`` to before ``end``."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    sku = serializers.CharField(
        max_length=200,
        default="",
        allow_blank=True,
        help_text="Empty for all; a * at the end stands for anything",
    )


class ApplySerializer(serializers.Serializer[Any]):
    """The difference that was looked at, and why it is to be booked."""

    digest = serializers.CharField(max_length=64)
    reason = serializers.CharField(max_length=300)


class MovedSerializer(serializers.Serializer[Any]):
    """What changes of one SKU, in the organization's currency."""

    sku = serializers.CharField()
    rows = serializers.IntegerField()
    before = serializers.CharField()
    after = serializers.CharField()
    unrated_before = serializers.IntegerField()
    unrated_after = serializers.IntegerField()


class ReratingSerializer(serializers.ModelSerializer[Rerating]):
    """A re-rating: what it would change, and how far it is."""

    result = MovedSerializer(many=True)

    class Meta:
        model = Rerating
        fields = [
            "uid",
            "state",
            "start",
            "end",
            "sku",
            "teams",
            "digest",
            "rows",
            "passed",
            "changed",
            "result",
            "asked_at",
            "ended_at",
        ]


def _answer(asked: Rerating) -> Response:
    return Response(ReratingSerializer(asked).data, status=202 if asked.waits else 200)


_SHAPES = {200: ReratingSerializer, 202: ReratingSerializer}


class RerateLook(APIView):
    """Looks at what pricing usage anew would change; a key's own team's alone."""

    required_scope = scopes.COSTS_WRITE
    capability = COSTS_ADMIN

    @extend_schema(request=LookSerializer, responses=_SHAPES)
    def post(self, request: ApiRequest) -> Response:
        """Up to 20,000 rows at once; more by a task (202): ask until it is looked."""
        given = LookSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        values = given.validated_data
        asked = rerating_plans.look(
            wanted=Wanted(values["start"], values["end"], values["sku"]),
            teams=request.rights.teams_for(COSTS_ADMIN),
            actor=acting(request),
            at=now(),
        )
        return _answer(asked)


class RerateDetail(APIView):
    """A re-rating."""

    required_scope = scopes.COSTS_WRITE
    capability = COSTS_ADMIN

    @extend_schema(responses=ReratingSerializer)
    def get(self, request: ApiRequest, uid: str) -> Response:
        """Its state, the difference, and how many rows are done."""
        asked = rerating_plans.rerating_for(request.rights, uid)
        return Response(ReratingSerializer(asked).data)


class RerateApply(APIView):
    """Does what was looked at."""

    required_scope = scopes.COSTS_WRITE
    capability = COSTS_ADMIN

    @extend_schema(request=ApplySerializer, responses=_SHAPES)
    def post(self, request: ApiRequest, uid: str) -> Response:
        """The digest must be that of the difference shown, the book unchanged."""
        given = ApplySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = rerating_plans.apply(
            uid=uid,
            digest=given.validated_data["digest"],
            reason=given.validated_data["reason"],
            rights=request.rights,
            actor=acting(request),
            at=now(),
        )
        return _answer(asked)
