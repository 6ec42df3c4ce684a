"""Audit sinks as the REST API shows and takes them: secrets go in, never out."""

from typing import Any

from rest_framework import serializers

from audit.formats import LABELS
from audit.models import DeadLetter
from audit.services.sinks import Wanted
from audit.sinks import DEFAULT_FORMS, KIND_CHOICES


class SinkSerializer(serializers.Serializer[Any]):
    """A sink with its state and lag."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KIND_CHOICES)
    form = serializers.ChoiceField(choices=list(LABELS))
    options = serializers.DictField()
    enabled = serializers.BooleanField()
    state = serializers.ChoiceField(
        choices=["delivering", "new", "late", "paused", "failing", "ahead"]
    )
    cursor = serializers.IntegerField(help_text="The next index to deliver.")
    head = serializers.IntegerField(help_text="How many events are sealed.")
    anchored = serializers.IntegerField(help_text="Size of the last checkpoint given.")
    lag_events = serializers.IntegerField()
    lag_seconds = serializers.FloatField()
    delivered = serializers.IntegerField()
    failed_attempts = serializers.IntegerField()
    dead_letters = serializers.IntegerField()
    failing_since = serializers.DateTimeField(allow_null=True)
    retry_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField()
    last_failed_at = serializers.DateTimeField(allow_null=True)
    last_delivered_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class SinkListSerializer(serializers.Serializer[Any]):
    """Every sink, by name."""

    results = SinkSerializer(many=True)


class SinkChangeSerializer(serializers.Serializer[Any]):
    """What a sink is changed to; a secret that is left out stays."""

    name = serializers.CharField(max_length=60)
    form = serializers.ChoiceField(choices=list(LABELS), required=False)
    options = serializers.DictField(default=dict)
    secrets = serializers.DictField(
        child=serializers.CharField(max_length=20_000, trim_whitespace=False),
        default=dict,
        write_only=True,
        help_text="key, token, authorization or signing; sealed and never shown.",
    )

    def wanted(self, kind: str, form: str = "") -> Wanted:
        """As the service takes it."""
        values = self.validated_data
        return Wanted(
            name=values["name"],
            kind=kind,
            form=values.get("form") or form or DEFAULT_FORMS.get(kind, ""),
            options=values["options"],
            secrets=values["secrets"],
        )


class SinkRequestSerializer(SinkChangeSerializer):
    """What a new sink needs."""

    kind = serializers.ChoiceField(choices=KIND_CHOICES)
    from_start = serializers.BooleanField(
        default=True, help_text="The whole trail, or what is sealed from now on."
    )


class SinkReasonSerializer(serializers.Serializer[Any]):
    """Why; it stands in the trail."""

    reason = serializers.CharField(max_length=300)


class TestedSerializer(serializers.Serializer[Any]):
    """Whether the receiver took the newest sealed event."""

    ok = serializers.BooleanField()
    error = serializers.CharField(allow_blank=True)


class ResendSerializer(serializers.Serializer[Any]):
    """Which dead letters; all of them where none is named."""

    letters = serializers.ListField(
        child=serializers.IntegerField(min_value=1), required=False, max_length=1_000
    )


class ResentSerializer(serializers.Serializer[Any]):
    """How many are sent again."""

    letters = serializers.IntegerField()


class DeadLetterSerializer(serializers.ModelSerializer[DeadLetter]):
    """What a sink refused while it took others."""

    class Meta:
        model = DeadLetter
        fields = (
            "id",
            "uid",
            "position",
            "at",
            "name",
            "summary",
            "error",
            "attempts",
            "state",
            "created_at",
            "delivered_at",
        )
