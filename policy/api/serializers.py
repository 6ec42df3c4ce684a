"""Teams and keys as the REST API shows and takes them."""

from typing import Any

from rest_framework import serializers

from core.clock import now
from policy.models import ApiKey, Team


class TeamSerializer(serializers.ModelSerializer[Team]):
    """A team."""

    class Meta:
        model = Team
        fields = ("slug", "name", "cost_centre", "created_at")


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key, without its text."""

    team = serializers.CharField(source="service_account.team.slug")
    service_account = serializers.CharField(source="service_account.name")
    environment = serializers.CharField(source="environment.slug")
    project = serializers.CharField(source="project.slug")
    scopes: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.CharField()
    )
    state = serializers.SerializerMethodField()

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = (
            "id",
            "name",
            "prefix",
            "team",
            "service_account",
            "environment",
            "project",
            "scopes",
            "state",
            "created_at",
            "created_by",
            "expires_at",
            "revoked_at",
            "last_used_at",
        )

    def get_state(self, key: ApiKey) -> str:
        return key.state(at=now())


class NewKeySerializer(KeySerializer):
    """A key just made: ``key`` is its text, shown this once."""

    key = serializers.CharField(read_only=True)

    class Meta(KeySerializer.Meta):
        fields = (*KeySerializer.Meta.fields, "key")


class KeyRequestSerializer(serializers.Serializer[Any]):
    """What a new key needs."""

    team = serializers.CharField(max_length=40)
    service_account = serializers.SlugField(max_length=60)
    name = serializers.CharField(max_length=100)
    environment = serializers.CharField(max_length=40)
    project = serializers.CharField(max_length=40, default="default")
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=100
    )
    expires_at = serializers.DateTimeField(allow_null=True, default=None)


class RevokeSerializer(serializers.Serializer[Any]):
    """Why a key is revoked."""

    reason = serializers.CharField(max_length=300)
