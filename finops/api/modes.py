"""REST endpoint of scripts against direct calls, and model against model."""

from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from core.errors import Invalid
from core.forms import errors_in_words
from finops import mode_contexts
from finops.forms import ModesFilter
from finops.selectors.modes import modes_report
from finops.selectors.reports import EXACT
from finops.services.exports import export_table
from policy import scopes
from policy.access import COSTS_READ
from policy.api.views import ApiRequest, acting

_NAMES = (
    *("period", "first", "last", "team", "project", "environment", "cost_centre"),
    *("principal", "server", "tool", "export"),
)


class ModesSerializer(serializers.Serializer[Any]):
    """Cells and comparisons; differences are the one side less the other."""

    currency = serializers.CharField()
    precision = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    zone = serializers.CharField()
    cells = serializers.ListField(child=serializers.DictField())
    comparisons = serializers.ListField(child=serializers.DictField())
    mixed_tasks = serializers.IntegerField(
        help_text="Tasks with runs of both kinds: they are in no cell."
    )


class Modes(APIView):
    """Scripts against direct calls, and model against model."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ

    @extend_schema(
        operation_id="reports_modes",
        parameters=[OpenApiParameter(name, OpenApiTypes.STR) for name in _NAMES],
        responses=ModesSerializer,
    )
    def get(self, request: ApiRequest) -> HttpResponseBase:
        """Over tasks that used the same tools, with intervals."""
        form = ModesFilter(
            request.query_params,
            access=request.rights,
            zone=settings.REPORT_TIME_ZONE,
        )
        if not form.is_valid():
            raise Invalid(errors_in_words(form.errors))
        at = now()
        period = form.window(at=at)
        report = modes_report(form.scope, period)
        if export := request.query_params.get("export"):
            return export_table(
                table=mode_contexts.table(report, period),
                report="reports/modes",
                by="tools",
                period=period,
                form=export,
                filters=request.query_params.dict(),
                actor=acting(request),
                at=at,
            )
        body = {
            "currency": settings.CURRENCY,
            "precision": EXACT,
            "start": period.start,
            "end": period.end,
            "zone": period.zone,
            **mode_contexts.answer(report),
        }
        return Response(body)
