"""REST endpoints of the reports that auditors ask for."""

from collections.abc import Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.pagination import (
    BasePagination,
    CursorPagination,
    PageNumberPagination,
)
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from core.errors import Invalid
from core.period import MONTHS, PRESETS
from gateway.audit_report_forms import DEFAULT_PERIOD, ReportForm
from gateway.selectors.audit_reports import parts
from gateway.selectors.audit_reports.parts import (
    ByKey,
    Column,
    Filter,
    Found,
    Report,
    Row,
)
from policy import scopes
from policy.access import AUDIT_READ
from policy.api.views import ApiRequest

_SIZE = 100
_FIELDS: dict[str, type[serializers.Field[Any, Any, Any, Any]]] = {
    parts.AT: serializers.DateTimeField,
    parts.NUMBER: serializers.IntegerField,
    parts.SECONDS: serializers.FloatField,
}


class ByNewest(CursorPagination):
    """Pages that stay put while rows are added."""

    ordering = "-pk"
    page_size = _SIZE


class Numbered(PageNumberPagination):
    """Pages of what stands in an order of its own (``page``)."""

    page_size = _SIZE


class FigureSerializer(serializers.Serializer[Any]):
    """A key figure of a report."""

    name = serializers.CharField()
    title = serializers.CharField(help_text="What it is called on pages")
    value = serializers.FloatField(allow_null=True, help_text="A count, or seconds")


class WindowSerializer(serializers.Serializer[Any]):
    """The period of a report: from ``start`` on, before ``end``."""

    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    zone = serializers.CharField()


def _text(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description)


def _field(column: Column) -> serializers.Field[Any, Any, Any, Any]:
    kind = _FIELDS.get(column.kind)
    if kind is None:
        return serializers.CharField(allow_blank=True, help_text=column.label)
    return kind(allow_null=True, help_text=column.label)


def _serializer(report: Report) -> type[serializers.Serializer[Any]]:
    """What the report's answer looks like, from its columns."""
    name = f"{report.slug.capitalize()}Report"
    row = type(
        f"{name}RowSerializer",
        (serializers.Serializer,),
        {column.name: _field(column) for column in report.columns},
    )
    row.__doc__ = f"A row of the report: {report.title}."
    whole = type(
        f"{name}Serializer",
        (serializers.Serializer,),
        {
            "period": WindowSerializer(allow_null=True),
            "note": serializers.CharField(allow_blank=True),
            "figures": FigureSerializer(many=True),
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": row(many=True),
        },
    )
    whole.__doc__ = report.lead
    return whole


def _parameter(one: Filter) -> OpenApiParameter:
    words = one.label
    if one.choices:
        words += ": " + ", ".join(name for name, _ in one.choices())
    return _text(one.name, words)


def _parameters(report: Report) -> list[OpenApiParameter]:
    named = ", ".join((*PRESETS, *MONTHS))
    dated = [
        _text("period", f"One of {named}; {DEFAULT_PERIOD} where none is given"),
        OpenApiParameter("first", OpenApiTypes.DATE, description="First day"),
        OpenApiParameter("last", OpenApiTypes.DATE, description="Last day"),
        _text("cursor", "Where the page begins, as links say it"),
    ]
    number = OpenApiParameter("page", OpenApiTypes.INT, description="Its number")
    filters = [_parameter(one) for one in report.filters]
    return filters + (dated if report.dated else [number])


class _ReportView(APIView):
    required_scope = scopes.AUDIT_READ
    capability = AUDIT_READ
    report: Report

    def _answer(self, request: ApiRequest) -> Response:
        form = ReportForm(request.query_params, report=self.report)
        if not form.is_valid():
            raise Invalid("; ".join(form.problems))
        asked = form.asked(rights=request.rights, at=now())
        found = self.report.find(asked)
        pages: Numbered | ByNewest
        pages = ByNewest() if isinstance(found.listing, ByKey) else Numbered()
        rows = self._rows(found, pages, request)
        period = asked.period
        return Response(
            {
                "period": period
                and {"start": period.start, "end": period.end, "zone": period.zone},
                "note": found.note,
                "figures": [
                    {"name": one.name, "title": one.label, "value": one.value}
                    for one in found.figures
                ],
                "next": pages.get_next_link(),
                "previous": pages.get_previous_link(),
                "results": [self._named(row) for row in rows],
            }
        )

    def _rows(
        self, found: Found, pages: BasePagination, request: ApiRequest
    ) -> Sequence[Row]:
        listing = found.listing
        wanted: Any = listing.queryset if isinstance(listing, ByKey) else listing
        page: list[Any] = pages.paginate_queryset(wanted, request, view=self) or []
        return listing.shown(page) if isinstance(listing, ByKey) else page

    def _named(self, row: Row) -> dict[str, Any]:
        names = (column.name for column in self.report.columns)
        return dict(zip(names, row.values, strict=True))


def view_of(report: Report) -> type[APIView]:
    """The endpoint of one report."""

    @extend_schema(
        operation_id=f"audit_reports_{report.slug}",
        responses=_serializer(report),
        parameters=_parameters(report),
    )
    def get(self: _ReportView, request: ApiRequest) -> Response:
        return self._answer(request)

    get.__doc__ = report.lead
    made = {"report": report, "get": get, "__doc__": f"{report.title}."}
    return type(f"{report.slug.capitalize()}ReportView", (_ReportView,), made)
