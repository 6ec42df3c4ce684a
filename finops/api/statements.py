"""REST endpoints of chargeback: months and statements, to read."""

from typing import Any

from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
)
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from finops.models import Statement
from finops.selectors import chargeback as selectors
from finops.selectors.statements import document_of
from policy import scopes
from policy.access import COSTS_READ
from policy.api.views import ApiRequest


class _Amount(serializers.DecimalField):
    """An amount as text, with every digit."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=28, decimal_places=12, **kwargs)


class BillingMonthSerializer(serializers.Serializer[Any]):
    """A month, with the figures of what the caller may see of it."""

    month = serializers.CharField(source="period")
    state = serializers.CharField(
        source="period.state", help_text="draft, review, closed or issued."
    )
    zone = serializers.CharField(source="period.zone")
    currency = serializers.CharField(source="period.currency")
    total = _Amount(source="billed", allow_null=True)
    statements = serializers.IntegerField()
    accepted = serializers.IntegerField()
    open_disputes = serializers.IntegerField(source="disputes")


class StatementHeadSerializer(serializers.Serializer[Any]):
    """A statement without its lines; ``charged`` is false for showback."""

    statement = serializers.CharField(source="uid")
    number = serializers.CharField(help_text="Empty until it is issued.")
    cost_centre = serializers.CharField(source="cost_centre.slug")
    cost_centre_name = serializers.CharField()
    charged = serializers.BooleanField()
    state = serializers.CharField()
    cost = _Amount(help_text="Exactly.")
    total = _Amount(source="billed", help_text="The sum of the rounded lines.")
    digest = serializers.CharField(help_text="SHA-256; empty until it is closed.")
    previous_digest = serializers.CharField()
    accepted_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    issued_at = serializers.DateTimeField(allow_null=True)


class StatementsSerializer(serializers.Serializer[Any]):
    """The statements of a month."""

    month = serializers.CharField()
    currency = serializers.CharField()
    statements = StatementHeadSerializer(many=True)


class StatementLineSerializer(serializers.Serializer[Any]):
    """A line; ``rule`` with its version, and ``ratio``, where its cost is shared."""

    number = serializers.IntegerField()
    key = serializers.CharField(help_text="Names the line when it is built anew.")
    category = serializers.CharField()
    team = serializers.CharField(source="origin.team")
    cost_centre = serializers.CharField(source="origin.cost_centre")
    project = serializers.CharField(source="origin.project")
    environment = serializers.CharField(source="origin.environment")
    sku = serializers.CharField()
    unit = serializers.CharField()
    quantity = serializers.DecimalField(max_digits=28, decimal_places=9)
    cost = _Amount()
    billed = _Amount()
    charge_start = serializers.DateTimeField()
    charge_end = serializers.DateTimeField()
    rule = serializers.CharField(source="allocated.id", default="")
    ratio = serializers.DecimalField(
        source="allocated.ratio", max_digits=19, decimal_places=18, default=None
    )
    reason = serializers.CharField()


class StatementSerializer(StatementHeadSerializer):
    """A statement with its lines."""

    month = serializers.CharField(source="period")
    currency = serializers.CharField(source="period.currency")
    lines = serializers.SerializerMethodField()

    @extend_schema_field(StatementLineSerializer(many=True))
    def get_lines(self, statement: Statement) -> Any:
        """In their order."""
        return StatementLineSerializer(document_of(statement).lines, many=True).data


class BillingMonths(APIView):
    """Every month, the newest first."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ

    @extend_schema(
        operation_id="chargeback_list", responses=BillingMonthSerializer(many=True)
    )
    def get(self, request: ApiRequest) -> Response:
        """With the figures of the own cost centres; one query a table."""
        found = selectors.month_rows(request.rights, at=now())
        return Response(BillingMonthSerializer(found, many=True).data)


class BillingMonth(APIView):
    """The statements of a month."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ

    @extend_schema(
        responses=StatementsSerializer,
        parameters=[
            OpenApiParameter("month", str, OpenApiParameter.PATH, description="YYYY-MM")
        ],
    )
    def get(self, request: ApiRequest, month: str) -> Response:
        """Those of the own cost centres, by cost centre."""
        period = selectors.period_named(month)
        found = selectors.visible_statements(request.rights).filter(period=period)
        shown = {
            "month": str(period),
            "currency": period.currency,
            "statements": found.order_by("cost_centre__slug"),
        }
        return Response(StatementsSerializer(shown).data)


class StatementDetail(APIView):
    """One statement with its lines."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ

    @extend_schema(responses=StatementSerializer)
    def get(self, request: ApiRequest, uid: str) -> Response:
        """As it stands; drafts change until their month is closed."""
        found = selectors.statement_for(request.rights, uid)
        return Response(StatementSerializer(found).data)
