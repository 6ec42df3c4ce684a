"""REST endpoint that takes reports of model usage."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from core.errors import Denied, Invalid
from core.forms import errors_in_words
from finops.models import UsageEvent, UsageReport
from finops.told import LONGEST_EVENT, LONGEST_NAME, MOST_TOKENS, Told, told_from
from gateway.services.model_usage import (
    BOOKED,
    DUPLICATE,
    REFUSED,
    Result,
    report_usage,
)
from policy import scopes
from policy.access import COSTS_ADMIN
from policy.api.views import ApiRequest
from policy.principal import Principal

MOST_ITEMS = 1_000
_MOST_BODY_BYTES = 4 * 1024 * 1024
_WHO_KNOWS = (UsageEvent.Known.REPORTED, UsageEvent.Known.ESTIMATED)


def _tokens(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(
        min_value=0,
        max_value=MOST_TOKENS,
        required=False,
        allow_null=True,
        default=None,
        help_text=help_text,
    )


class UsageItemSerializer(serializers.Serializer[Any]):
    """The usage of one answer. Tokens that the model did not report are left out."""

    id = serializers.CharField(
        max_length=LONGEST_EVENT,
        help_text="Names the answer for good: a second report of it adds nothing",
    )
    at = serializers.DateTimeField(help_text="When the model answered")
    provider = serializers.CharField(max_length=LONGEST_NAME)
    model = serializers.CharField(max_length=LONGEST_NAME)
    input = _tokens("All input tokens, those of the cache among them")
    output = _tokens("All output tokens, those of reasoning among them")
    cached_read = _tokens("Of the input: read from a cache")
    cache_write = _tokens("Of the input: written to a cache")
    reasoning = _tokens("Of the output: reasoning")
    known = serializers.ChoiceField(
        choices=[(one.value, one.label) for one in _WHO_KNOWS],
        default=UsageEvent.Known.REPORTED.value,
    )
    run = serializers.CharField(max_length=40, default="", allow_blank=True)
    task = serializers.CharField(max_length=LONGEST_EVENT, default="", allow_blank=True)
    trace_id = serializers.CharField(max_length=32, default="", allow_blank=True)


class UsageBatchSerializer(serializers.Serializer[Any]):
    """Up to 1,000 answers, each judged by itself."""

    items = UsageItemSerializer(many=True)


class ItemErrorSerializer(serializers.Serializer[Any]):
    """Why one report was refused."""

    code = serializers.CharField()
    message = serializers.CharField()


class ItemResultSerializer(serializers.Serializer[Any]):
    """What became of one report; its cost is null where it was not booked now."""

    id = serializers.CharField()
    result = serializers.ChoiceField(choices=[BOOKED, DUPLICATE, REFUSED])
    cost = serializers.DecimalField(
        max_digits=28, decimal_places=12, allow_null=True, default=None
    )
    currency = serializers.CharField(default="")
    unrated = serializers.IntegerField(
        default=0, help_text="Kinds of tokens without a price"
    )
    error = ItemErrorSerializer(allow_null=True, default=None)


class BatchResultSerializer(serializers.Serializer[Any]):
    """How many of a batch were booked, and one result an item, in its order."""

    booked = serializers.IntegerField()
    duplicates = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = ItemResultSerializer(many=True)


class UsageReports(APIView):
    """Takes the usage of models that were asked elsewhere."""

    required_scope = scopes.COSTS_WRITE
    capability = COSTS_ADMIN

    @extend_schema(request=UsageBatchSerializer, responses=BatchResultSerializer)
    def post(self, request: ApiRequest) -> Response:
        """Book up to 1,000 answers, each once; send the same batch again at will."""
        if not isinstance(request.auth, Principal):
            raise Denied(
                "Usage is reported by a service account: send one of its keys with "
                f"the scope {scopes.COSTS_WRITE}."
            )
        results = take(request.auth, _items(request), UsageReport.Source.REST)
        return Response(BatchResultSerializer(_answer(results)).data)


def take(principal: Principal, items: list[Any], source: str) -> list[Result]:
    """Book what can be read of ``items``; one result each, in their order."""
    at = now()
    told: dict[int, Told] = {}
    unfit: dict[int, Result] = {}
    for index, item in enumerate(items):
        given = UsageItemSerializer(data=item)
        if given.is_valid():
            told[index] = told_from(given.validated_data, at=at)
        else:
            unfit[index] = _unfit(item, given.errors)
    booked = report_usage(
        principal=principal,
        told=list(told.values()),
        source=source,
        at=at,
        unfit=len(unfit),
    )
    found = unfit | dict(zip(told, booked, strict=True))
    return [found[index] for index in range(len(items))]


def _items(request: ApiRequest) -> list[Any]:
    size = request.META.get("CONTENT_LENGTH") or "0"
    if size.isdigit() and int(size) > _MOST_BODY_BYTES:
        raise Invalid("A batch has at most 4 MiB: send fewer items at once.")
    items = request.data.get("items") if isinstance(request.data, dict) else None
    if not isinstance(items, list) or not items:
        raise Invalid('Send {"items": […]} with at least one report.')
    if len(items) > MOST_ITEMS:
        raise Invalid(
            f"A batch has at most {MOST_ITEMS:,} items, and this has {len(items):,}."
        )
    return items


def _unfit(item: Any, errors: Any) -> Result:
    given = item.get("id", "") if isinstance(item, dict) else ""
    return Result(
        str(given)[:LONGEST_EVENT], REFUSED, error=Invalid(errors_in_words(errors))
    )


def _answer(results: list[Result]) -> dict[str, Any]:
    counts = [one.result for one in results]
    return {
        "booked": counts.count(BOOKED),
        "duplicates": counts.count(DUPLICATE),
        "refused": counts.count(REFUSED),
        "results": [_shown(one) for one in results],
    }


def _shown(one: Result) -> dict[str, Any]:
    booked, error = one.booked, one.error
    return {
        "id": one.event,
        "result": one.result,
        "cost": booked.cost if booked else None,
        "currency": booked.currency if booked else "",
        "unrated": booked.unrated if booked else 0,
        "error": {"code": error.code, "message": error.message} if error else None,
    }
