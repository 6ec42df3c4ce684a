"""Quotas as the REST API shows and takes them."""

from typing import Any

from rest_framework import serializers

from policy.models import Quota
from policy.quota import plain
from policy.services.quota_changes import MOST


class ForecastSerializer(serializers.Serializer[Any]):
    """When the quota will be full if its window goes on as it began, and why."""

    full_at = serializers.DateTimeField(allow_null=True)
    because = serializers.CharField()


class AmountField(serializers.FloatField):
    """An amount; whole for all metrics but CPU-seconds, which have three places."""

    def to_representation(self, value: Any) -> Any:
        return float(plain(value))


class QuotaSerializer(serializers.Serializer[Any]):
    """A quota with its present window; an empty scope means any."""

    id = serializers.IntegerField()
    metric = serializers.ChoiceField(choices=Quota.Metric.choices)
    window = serializers.CharField(help_text="Empty for concurrent runs.")
    limit = serializers.IntegerField()
    used = AmountField()
    remaining = AmountField()
    state = serializers.ChoiceField(choices=["ok", "near", "full"])
    scope = serializers.CharField()
    team = serializers.CharField()
    key = serializers.CharField()
    tool = serializers.CharField()
    environment = serializers.CharField()
    starts_at = serializers.DateTimeField()
    resets_at = serializers.DateTimeField(allow_null=True)
    forecast = ForecastSerializer()


class PastWindowSerializer(serializers.Serializer[Any]):
    """A window that was: ``used`` of ``limit``, and how many acts were refused."""

    start = serializers.DateTimeField()
    used = AmountField()
    limit = serializers.IntegerField()
    refused = serializers.IntegerField()


class QuotaDetailSerializer(QuotaSerializer):
    """A quota with its past windows, the oldest first."""

    history = PastWindowSerializer(many=True)


class QuotaRequestSerializer(serializers.Serializer[Any]):
    """What a new quota needs; ``key`` is a key's prefix."""

    metric = serializers.ChoiceField(choices=Quota.Metric.choices)
    window = serializers.ChoiceField(
        choices=Quota.Window.choices, allow_blank=True, default=""
    )
    limit = serializers.IntegerField(min_value=0, max_value=MOST)
    team = serializers.CharField(max_length=40, allow_blank=True, default="")
    key = serializers.CharField(max_length=11, allow_blank=True, default="")
    tool = serializers.CharField(max_length=200, allow_blank=True, default="")
    environment = serializers.CharField(max_length=40, allow_blank=True, default="")
    reason = serializers.CharField(max_length=400)


class LimitSerializer(serializers.Serializer[Any]):
    """Another limit."""

    limit = serializers.IntegerField(min_value=0, max_value=MOST)
    reason = serializers.CharField(max_length=400)


class RemovalSerializer(serializers.Serializer[Any]):
    """Why a quota goes."""

    reason = serializers.CharField(max_length=400)
