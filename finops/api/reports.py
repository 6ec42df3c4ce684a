"""REST endpoint of the reports."""

from typing import Any

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from core.errors import Invalid, NotFound
from core.forms import errors_in_words
from core.period import MONTHS, PRESETS
from finops.report_answers import REPORTS
from finops.selectors.breakdown import DIMENSIONS
from finops.selectors.marks import marks
from finops.services.report_exports import export_report
from policy import scopes
from policy.access import COSTS_READ
from policy.api.views import ApiRequest, acting


class SpanSerializer(serializers.Serializer[Any]):
    """From ``start`` on, before ``end``."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    zone = serializers.CharField()


class MarkSerializer(serializers.Serializer[Any]):
    """What happened meanwhile."""

    at = serializers.DateTimeField()
    kind = serializers.CharField()
    text = serializers.CharField()
    team = serializers.CharField(allow_blank=True)


class ReportSerializer(serializers.Serializer[Any]):
    """A report; figures are null where there is nothing to count, amounts are text."""

    report = serializers.CharField()
    title = serializers.CharField()
    by = serializers.CharField(allow_blank=True)
    period = SpanSerializer()
    compared = SpanSerializer()
    currency = serializers.CharField()
    precision = serializers.CharField(help_text="exact, or ±1 % for percentiles")
    total = serializers.DictField()
    groups = serializers.ListField(child=serializers.DictField())
    annotations = MarkSerializer(many=True)


def _text(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description)


def _day(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.DATE, description=description)


_PARAMETERS = [
    _text(
        "period",
        f"One of {', '.join((*PRESETS, *MONTHS))}; else 7d, of costs 30d",
    ),
    _day("first", "First day"),
    _day("last", "Last day"),
    _day("against_first", "First day to compare with; else the previous period"),
    _day("against_last", "Last day to compare with"),
    _text(
        "by",
        f"One of {', '.join(DIMENSIONS)}. Days, SKUs and kinds of token are known to "
        "costs alone, the latter two to movers too; team, or the whole, where none is "
        "given",
    ),
    *(_text(name, "A filter") for name in DIMENSIONS if name != "day"),
    _text("export", "csv or json (JSON lines): the rows as a file"),
]


class Report(APIView):
    """Any report by its name: the headline figures, costs, movers, efficiency."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ

    @extend_schema(
        operation_id="reports_get",
        parameters=_PARAMETERS,
        responses=ReportSerializer,
    )
    def get(self, request: ApiRequest, slug: str) -> HttpResponseBase:
        """The report of a period, whole and by a dimension, beside another window."""
        report = REPORTS.get(slug)
        if report is None:
            raise NotFound(f"There is no such report: use one of {', '.join(REPORTS)}.")
        form = report.form(
            request.query_params,
            access=request.rights,
            zone=settings.REPORT_TIME_ZONE,
        )
        if not form.is_valid():
            raise Invalid(errors_in_words(form.errors))
        at = now()
        period = form.window(at=at)
        if export := request.query_params.get("export"):
            return export_report(
                key=slug,
                asked=form,
                form=export,
                filters=request.query_params.dict(),
                actor=acting(request),
                at=at,
            )
        against = form.against(period)
        found = report.build(form, period, against)
        body = {
            "report": slug,
            "title": report.title,
            "by": form.dimension,
            "period": _span(period),
            "compared": _span(against),
            "currency": settings.CURRENCY,
            "precision": found.precision,
            "total": found.total,
            "groups": found.groups,
            "annotations": MarkSerializer(
                marks(request.rights, form.scope, period), many=True
            ).data,
        }
        return Response(body)


def _span(period: Any) -> dict[str, Any]:
    return {"start": period.start, "end": period.end, "zone": period.zone}
