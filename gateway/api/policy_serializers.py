"""Explanations and replays as the REST API shows and takes them."""

from typing import Any

from rest_framework import serializers

from gateway.models import PolicyReplay
from gateway.services.explain import Explanation
from gateway.services.policy_replay import AT_ONCE, MOST_CALLS, MOST_DAYS
from policy.api.rule_serializers import RulesField
from policy.decision import for_record

_NAME: dict[str, Any] = {"required": False, "max_length": 200}


class QuestionSerializer(serializers.Serializer[Any]):
    """A call that somebody might make, or one that was made."""

    run = serializers.CharField(**_NAME)
    step = serializers.IntegerField(
        required=False, min_value=1, max_value=2_000_000_000
    )
    tool = serializers.CharField(**_NAME)
    arguments = serializers.DictField(required=False, default=dict)
    key = serializers.CharField(**_NAME)
    team = serializers.CharField(**_NAME)
    environment = serializers.CharField(**_NAME)
    scopes = serializers.ListField(
        child=serializers.CharField(max_length=200), default=["tools:*"], max_length=100
    )
    roles = serializers.ListField(
        child=serializers.CharField(max_length=20), default=list, max_length=10
    )
    mode = serializers.ChoiceField(["script", "direct"], default="script")
    language = serializers.ChoiceField(["python", "typescript"], default="python")
    model = serializers.CharField(default="", max_length=100, allow_blank=True)
    gvisor = serializers.BooleanField(default=True)
    calls_made = serializers.IntegerField(default=0, min_value=0, max_value=1_000_000)
    at = serializers.DateTimeField(required=False, allow_null=True)
    draft = serializers.CharField(**_NAME)
    rules = RulesField(required=False, allow_null=True)


class ConsideredSerializer(serializers.Serializer[Any]):
    """A rule and what became of it."""

    rule = serializers.CharField()
    title = serializers.CharField(allow_blank=True)
    effect = serializers.CharField()
    mode = serializers.CharField()
    enabled = serializers.BooleanField()
    selected = serializers.BooleanField()
    says = serializers.CharField(allow_blank=True)
    why = serializers.CharField(allow_blank=True)
    error = serializers.BooleanField()
    won = serializers.BooleanField()


class QuotaStateSerializer(serializers.Serializer[Any]):
    """A quota that would count the call."""

    scope = serializers.CharField()
    what = serializers.CharField()
    limit = serializers.IntegerField()
    used = serializers.DecimalField(max_digits=20, decimal_places=3)
    remaining = serializers.DecimalField(max_digits=20, decimal_places=3)
    resets_at = serializers.DateTimeField(allow_null=True)


class SettingSerializer(serializers.Serializer[Any]):
    """A setting of the sandbox policy that holds for such runs, and who set it."""

    what = serializers.CharField()
    value = serializers.CharField()
    set_by = serializers.ListField(child=serializers.CharField())


class ExplanationSerializer(serializers.Serializer[Any]):
    """Why a call would be allowed, asked for or denied."""

    effect = serializers.ChoiceField(["allow", "require_approval", "deny"])
    reasons = serializers.ListField(child=serializers.CharField())
    denied_by = serializers.CharField(allow_blank=True)
    told = serializers.CharField(allow_blank=True)
    policy_version = serializers.IntegerField()
    policy_revision = serializers.IntegerField()
    rules = ConsideredSerializer(many=True)
    granted_through = serializers.ListField(child=serializers.CharField())
    scope = serializers.CharField(allow_blank=True)
    environments = serializers.ListField(child=serializers.CharField())
    approvals = serializers.ListField(child=serializers.DictField())
    quotas = QuotaStateSerializer(many=True)
    problems = serializers.ListField(child=serializers.CharField())
    needs_gvisor = serializers.BooleanField()
    refused = serializers.CharField(allow_blank=True)
    sandbox = SettingSerializer(many=True)
    looks_at_result = serializers.ListField(child=serializers.CharField())
    uncertain = serializers.ListField(child=serializers.CharField())
    would = serializers.ListField(child=serializers.DictField())
    recorded_arguments = serializers.JSONField()


def shown(found: Explanation) -> dict[str, Any]:
    """An explanation as JSON."""
    decision = found.decision
    return {
        "effect": found.effect,
        "reasons": decision.reasons,
        "denied_by": decision.denied_by,
        "told": decision.told,
        "policy_version": found.policy_version,
        "policy_revision": found.policy_revision,
        "rules": [one.as_dict() for one in found.rules],
        "granted_through": found.granted_through,
        "scope": found.scope,
        "environments": found.environments,
        "approvals": [
            {**route.as_dict(), "rule": route.rule, "because": route.because}
            for route in found.routes
        ],
        "quotas": QuotaStateSerializer(found.quotas, many=True).data,
        "problems": found.problems,
        "needs_gvisor": found.needs_gvisor,
        "refused": found.refused,
        "sandbox": SettingSerializer(found.sandbox, many=True).data,
        "looks_at_result": found.later,
        "uncertain": found.uncertain,
        "would": [one.as_dict() for one in decision.would],
        "recorded_arguments": for_record(decision, found.arguments),
    }


class AskReplaySerializer(serializers.Serializer[Any]):
    """Over which calls."""

    days = serializers.IntegerField(default=7, min_value=1, max_value=MOST_DAYS)
    most_calls = serializers.IntegerField(
        default=AT_ONCE, min_value=1, max_value=MOST_CALLS
    )


class ReplaySerializer(serializers.ModelSerializer[PolicyReplay]):
    """A replay; `result` is there once it is done."""

    class Meta:
        model = PolicyReplay
        fields = (
            "uid",
            "draft",
            "draft_revision",
            "live_version",
            "days",
            "most_calls",
            "state",
            "examined",
            "reached_at",
            "result",
            "asked_label",
            "asked_at",
            "ended_at",
        )


class HitSerializer(serializers.Serializer[Any]):
    """Calls on which a rule had a say, or would have had one."""

    rule = serializers.CharField()
    applied = serializers.IntegerField()
    would = serializers.IntegerField()
    last_at = serializers.DateTimeField(allow_null=True)


class HitsSerializer(serializers.Serializer[Any]):
    """Rules with calls in the last days."""

    days = serializers.IntegerField()
    rules = HitSerializer(many=True)
