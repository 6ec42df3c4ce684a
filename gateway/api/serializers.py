"""Servers, tools and runs as the REST API shows and takes them."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from gateway.models import Run, Server, Tool, ToolCall
from gateway.selectors.runs import calls_of
from gateway.services.envelope import envelope


class ServerSerializer(serializers.ModelSerializer[Server]):
    """A tool server. Its secrets are never shown."""

    tools = serializers.IntegerField(source="tool_count")
    unconfirmed_effects = serializers.IntegerField(source="unconfirmed")
    refused = serializers.ListField(child=serializers.DictField())

    class Meta:
        model = Server
        fields = (
            "name",
            "description",
            "transport",
            "status",
            "health",
            "health_message",
            "health_seconds",
            "health_at",
            "protocol",
            "upstream_name",
            "upstream_version",
            "tools",
            "unconfirmed_effects",
            "refused",
            "last_error",
            "synced_at",
            "created_at",
        )


class ToolSerializer(serializers.ModelSerializer[Tool]):
    """A tool without its schemas."""

    server = serializers.CharField(source="server.name")
    full_name = serializers.CharField()
    tags: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.CharField()
    )
    environments = serializers.SerializerMethodField()
    version = serializers.IntegerField(source="current.number")
    fingerprint = serializers.CharField(source="current.fingerprint")
    description = serializers.CharField(source="current.description")
    definition_tokens = serializers.IntegerField(source="current.definition_tokens")

    class Meta:
        model = Tool
        fields: tuple[str, ...] = (
            "full_name",
            "server",
            "name",
            "original",
            "description",
            "tags",
            "effect",
            "effect_proposed",
            "effect_confirmed_by",
            "effect_confirmed_at",
            "environments",
            "direct",
            "scripted",
            "needs_approval",
            "idempotency",
            "version",
            "fingerprint",
            "definition_tokens",
            "removed_at",
        )

    def get_environments(self, tool: Tool) -> list[str]:
        return sorted(place.slug for place in tool.environments.all())


class WholeToolSerializer(ToolSerializer):
    """A tool with the schemas of its current version."""

    input_schema = serializers.DictField(source="current.input_schema")
    output_schema = serializers.DictField(
        source="current.output_schema", allow_null=True
    )
    annotations = serializers.DictField(source="current.annotations")

    class Meta(ToolSerializer.Meta):
        fields = (
            *ToolSerializer.Meta.fields,
            "input_schema",
            "output_schema",
            "annotations",
        )


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run as lists show it: without script, value and output."""

    run = serializers.CharField(source="uid")
    task = serializers.CharField(source="task.uid")
    task_name = serializers.CharField(source="task.label")
    error_code = serializers.SerializerMethodField()
    queue_seconds = serializers.FloatField(allow_null=True)
    hold_seconds = serializers.FloatField(
        help_text="Seconds that the run waited for people; in no other figure."
    )
    run_seconds = serializers.FloatField(allow_null=True)

    class Meta:
        model = Run
        fields: tuple[str, ...] = (
            "run",
            "task",
            "task_name",
            "attempt",
            "mode",
            "status",
            "error_code",
            "team",
            "cost_centre",
            "project",
            "environment",
            "principal",
            "language",
            "model",
            "epoch",
            "tool_calls",
            "successful_calls",
            "queued_at",
            "started_at",
            "finished_at",
            "queue_seconds",
            "hold_seconds",
            "run_seconds",
            "cost",
            "currency",
        )

    def get_error_code(self, run: Run) -> str:
        return str((run.error or {}).get("code", ""))


class CallSerializer(serializers.ModelSerializer[ToolCall]):
    """One step of a run's journal; arguments are redacted."""

    arguments = serializers.JSONField()
    reasons: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.CharField()
    )
    error: serializers.Field[Any, Any, Any, Any] = serializers.DictField(
        allow_null=True
    )

    class Meta:
        model = ToolCall
        fields = (
            "step",
            "epoch",
            "tool",
            "tool_version",
            "effect",
            "arguments",
            "decision",
            "reasons",
            "outcome",
            "resolution",
            "error",
            "intent_at",
            "outcome_at",
            "seconds",
            "result_bytes",
            "result_tokens",
        )


class WholeRunSerializer(RunSerializer):
    """A run with its script, envelope and journal."""

    code = serializers.CharField()
    envelope = serializers.SerializerMethodField()
    journal = serializers.SerializerMethodField()

    class Meta(RunSerializer.Meta):
        fields = (*RunSerializer.Meta.fields, "code", "envelope", "journal")

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_envelope(self, run: Run) -> dict[str, Any]:
        return envelope(run)

    @extend_schema_field(CallSerializer(many=True))
    def get_journal(self, run: Run) -> Any:
        return CallSerializer(calls_of(run), many=True).data


class ExecuteSerializer(serializers.Serializer[Any]):
    """A script to run as the key that sends it."""

    code = serializers.CharField(trim_whitespace=False, allow_blank=True)
    language = serializers.CharField(default="python", max_length=20)
    task = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=200,
        help_text="The agent's name for the piece of work: runs of one name are "
        "attempts at it.",
    )
    model = serializers.CharField(default="", allow_blank=True, max_length=100)
