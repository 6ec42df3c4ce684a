"""REST endpoints of retention; for people alone, since they concern every team."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.models import Hold
from audit.months import months
from audit.services import holds
from audit.web import AUDIT_HOLD, AUDIT_READ, actor_of
from core.clock import now

_MONTH = "%Y-%m"


class MonthSerializer(serializers.Serializer[Any]):
    """A month of the trail and what keeps it."""

    month = serializers.CharField(source="name")
    events = serializers.IntegerField(source="rows")
    exact = serializers.BooleanField(help_text="False: events is an estimate.")
    bytes = serializers.IntegerField()
    sealed = serializers.BooleanField()
    export_sha256 = serializers.CharField(source="export.sha256", default=None)
    held = serializers.SerializerMethodField()
    dropped_at = serializers.DateTimeField(source="tombstone.at", default=None)
    tombstone = serializers.CharField(source="tombstone.note", default=None)
    kept_because = serializers.CharField(source="why")

    def get_held(self, month: Any) -> list[str]:
        return [hold.title for hold in month.holds]


class MonthListSerializer(serializers.Serializer[Any]):
    """All months."""

    results = MonthSerializer(many=True)


class HoldSerializer(serializers.ModelSerializer[Hold]):
    """A legal hold."""

    first = serializers.DateField(format=_MONTH)
    last = serializers.DateField(format=_MONTH, allow_null=True)

    class Meta:
        model = Hold
        exclude = ("lifted_because",)


class NewHoldSerializer(serializers.Serializer[Any]):
    """What a new hold is made of; months such as 2026-03."""

    title = serializers.CharField(max_length=100)
    reason = serializers.CharField(max_length=400)
    first = serializers.DateField(input_formats=[_MONTH])
    last = serializers.DateField(input_formats=[_MONTH], required=False, default=None)


class LiftSerializer(serializers.Serializer[Any]):
    """Why a hold is lifted."""

    reason = serializers.CharField(max_length=400)


class MonthList(APIView):
    """The trail's months."""

    people_only = True
    required_scope = ""
    capability = AUDIT_READ

    @extend_schema(operation_id="audit_months_list", responses=MonthListSerializer)
    def get(self, request: Request) -> Response:
        """Each month with its size and what keeps it, newest first."""
        found = MonthSerializer(months(at=now()), many=True)
        return Response({"results": found.data})


class NewestHolds(CursorPagination):
    """Newest first."""

    ordering = "-pk"


class HoldList(generics.ListAPIView[Hold]):
    """Legal holds, newest first; POST sets one."""

    people_only = True
    required_scope = ""
    capability = {"GET": AUDIT_READ, "POST": AUDIT_HOLD}
    queryset = Hold.objects.none()
    serializer_class = HoldSerializer
    pagination_class = NewestHolds

    def get_queryset(self) -> QuerySet[Hold]:
        return Hold.objects.all()

    @extend_schema(request=NewHoldSerializer, responses={201: HoldSerializer})
    def post(self, request: Request) -> Response:
        """Keep months, whatever their age."""
        wanted = NewHoldSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        actor = actor_of(request._request)
        hold = holds.set_hold(**wanted.validated_data, actor=actor, at=now())
        return Response(HoldSerializer(hold).data, status=201)


class HoldLift(APIView):
    """Ends a legal hold."""

    people_only = True
    required_scope = ""
    capability = AUDIT_HOLD

    @extend_schema(request=LiftSerializer, responses=HoldSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Lift it, with a reason."""
        wanted = LiftSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        actor = actor_of(request._request)
        hold = holds.lift_hold(
            hold_id=pk, **wanted.validated_data, actor=actor, at=now()
        )
        return Response(HoldSerializer(hold).data)
