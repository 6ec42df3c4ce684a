"""REST endpoint of exchange rates."""

from django.db.models import QuerySet
from rest_framework import generics, serializers
from rest_framework.pagination import PageNumberPagination

from finops.models import ExchangeRate
from finops.selectors.rates import known_rates
from policy import scopes
from policy.access import COSTS_READ


class RateSerializer(serializers.ModelSerializer[ExchangeRate]):
    """What one unit of a currency is worth in the organization's during a month."""

    month = serializers.DateField(format="%Y-%m")

    class Meta:
        model = ExchangeRate
        fields = ["month", "currency", "base", "rate", "source", "known_from"]


class ByMonth(PageNumberPagination):
    """Pages of what stands in an order of its own (``page``)."""

    page_size = 100


class RateList(generics.ListAPIView[ExchangeRate]):
    """The exchange rates known now, the newest month first."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ
    serializer_class = RateSerializer
    pagination_class = ByMonth

    def get_queryset(self) -> QuerySet[ExchangeRate]:
        return known_rates()
