"""REST endpoint of the platform's fixed costs."""

from dataclasses import asdict
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from finops.chargeback.months import month_at, named
from finops.selectors.platform_costs import of_month
from policy import scopes
from policy.access import COSTS_READ


class PlatformCostSerializer(serializers.Serializer[Any]):
    """What a fixed cost comes to; ``amount`` is null without an exchange rate."""

    name = serializers.CharField(help_text="kind/name, as allocation rules match it")
    amount = serializers.DecimalField(max_digits=28, decimal_places=12, allow_null=True)
    list_amount = serializers.DecimalField(max_digits=28, decimal_places=12)
    list_currency = serializers.CharField()
    rate = serializers.DecimalField(max_digits=28, decimal_places=12, allow_null=True)


class PlatformMonthSerializer(serializers.Serializer[Any]):
    """The fixed costs of a month."""

    month = serializers.CharField()
    currency = serializers.CharField()
    costs = PlatformCostSerializer(many=True)


class PlatformCosts(APIView):
    """What the platform's fixed costs come to in a month."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ

    @extend_schema(
        responses=PlatformMonthSerializer,
        parameters=[
            OpenApiParameter(
                "month", OpenApiTypes.STR, description="Such as 2026-11; now if absent"
            )
        ],
    )
    def get(self, request: Request) -> Response:
        """As the price book is known now."""
        given = request.query_params.get("month")
        zone = settings.REPORT_TIME_ZONE
        month = named(given) if given else month_at(now(), zone)
        shown = {
            "month": f"{month:%Y-%m}",
            "currency": settings.CURRENCY,
            "costs": [asdict(one) for one in of_month(month)],
        }
        return Response(PlatformMonthSerializer(shown).data)
