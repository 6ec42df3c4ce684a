"""Approvals and unknown outcomes as the REST API shows and takes them."""

from typing import Any

from rest_framework import serializers

from core.clock import now
from gateway.models import ToolCall
from gateway.selectors import approvals, outcomes
from gateway.services.holds import MOST_AT_ONCE, Decided
from policy.models import Approval, ApprovalRoute, ApprovalVote


class RouteSerializer(serializers.ModelSerializer[ApprovalRoute]):
    """A demand on an approval: whom it asks, how many, and which rule makes it."""

    class Meta:
        model = ApprovalRoute
        fields = (
            "position",
            "kind",
            "name",
            "quorum",
            "rule",
            "rule_version",
            "because",
            "escalate_at",
            "escalate_kind",
            "escalate_name",
            "escalated_at",
            "satisfied_at",
        )


class VoteSerializer(serializers.ModelSerializer[ApprovalVote]):
    """What one person said; ``routes`` are the positions that it counts for."""

    routes: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.IntegerField()
    )

    class Meta:
        model = ApprovalVote
        fields = ("voter", "label", "approve", "reason", "routes", "at")


class ApprovalSerializer(serializers.ModelSerializer[Approval]):
    """A request for one exact call, and its decision. Arguments are redacted."""

    approval = serializers.CharField(source="uid")
    state = serializers.SerializerMethodField()
    arguments = serializers.JSONField()
    requesters: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.CharField()
    )
    because = serializers.CharField(source="asked_because")
    routes = RouteSerializer(many=True)
    votes = VoteSerializer(many=True)

    class Meta:
        model = Approval
        fields = (
            "approval",
            "state",
            "tool",
            "tool_version",
            "arguments",
            "arguments_digest",
            "run",
            "step",
            "team",
            "environment",
            "requesters",
            "because",
            "routes",
            "votes",
            "policy_revision",
            "requested_at",
            "expires_at",
            "decided_at",
            "decided_by",
            "reason",
            "used_at",
        )

    def get_state(self, approval: Approval) -> str:
        return approvals.state_of(approval, at=now())


class DecisionSerializer(serializers.Serializer[Any]):
    """A decision on one call."""

    approve = serializers.BooleanField()
    reason = serializers.CharField(max_length=400)


class BulkDecisionSerializer(DecisionSerializer):
    """One decision on several calls."""

    approvals = serializers.ListField(
        child=serializers.CharField(max_length=40),
        min_length=1,
        max_length=MOST_AT_ONCE,
    )


class BulkResultSerializer(serializers.Serializer[Any]):
    """What became of one of them; ``error`` says why it was skipped."""

    approval = serializers.CharField(source="uid")
    state = serializers.SerializerMethodField()
    error = serializers.CharField(allow_blank=True)

    def get_state(self, decided: Decided) -> str:
        return decided.approval.state if decided.approval else ""


class OutcomeSerializer(serializers.ModelSerializer[ToolCall]):
    """A call whose outcome is or was unknown. Arguments are redacted."""

    run = serializers.CharField(source="run.uid")
    team = serializers.CharField(source="run.team")
    environment = serializers.CharField(source="run.environment")
    principal = serializers.CharField(source="run.principal")
    arguments = serializers.JSONField()
    state = serializers.SerializerMethodField()
    decide_from = serializers.SerializerMethodField()

    class Meta:
        model = ToolCall
        fields = (
            "id",
            "state",
            "tool",
            "tool_version",
            "arguments",
            "run",
            "step",
            "team",
            "environment",
            "principal",
            "intent_at",
            "decide_from",
            "resolution",
            "resolved_by",
            "resolved_because",
        )

    def get_state(self, call: ToolCall) -> str:
        return outcomes.state_of(call)

    def get_decide_from(self, call: ToolCall) -> str:
        return outcomes.safe_from(call).isoformat()


class ResolutionSerializer(serializers.Serializer[Any]):
    """What became of a call; ``value`` is what it returned, where it happened."""

    resolution = serializers.ChoiceField(choices=ToolCall.Resolution.choices)
    reason = serializers.CharField(max_length=400)
    value = serializers.JSONField(required=False, allow_null=True, default=None)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        happened = attrs["resolution"] == ToolCall.Resolution.HAPPENED
        if attrs["value"] is not None and not happened:
            raise serializers.ValidationError(
                {"value": "Only a call that happened has a value."}
            )
        return attrs
