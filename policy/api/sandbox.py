"""REST endpoints of isolation and limits: of an environment, a team, a key, a tool."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.web import actor_of
from core.clock import now
from core.reasons import LONGEST
from policy import selectors
from policy.access import IDENTITY_ADMIN
from policy.api.permissions import People
from policy.api.quota_serializers import RemovalSerializer
from policy.effective import effective
from policy.models import ApiKey, Environment, SandboxPolicy, Team
from policy.sandbox import LANGUAGES, LEVELS, LIMITS, MODES, Rule
from policy.services.sandbox import Scope, set_sandbox_policy

_NUMBER = serializers.FloatField


class LineSerializer(serializers.Serializer[Any]):
    """One setting as it holds; ``set_by`` is empty where the default does."""

    what = serializers.CharField()
    value = serializers.CharField()
    set_by = serializers.ListField(child=serializers.CharField())


class SandboxSerializer(serializers.Serializer[Any]):
    """What a scope asks for. A PUT replaces it all; an empty one removes it."""

    level = serializers.ChoiceField(
        choices=[("", "nothing asked for"), *((name, name) for name in LEVELS)],
        default="",
    )
    require_gvisor = serializers.BooleanField(default=False)
    limits: serializers.Field[Any, Any, Any, Any] = serializers.DictField(
        child=_NUMBER(),
        default=dict,
        help_text="By name; those left out are not limited here: "
        + "; ".join(
            f"{name}: {bound.least:g} to {bound.most:g}, {bound.default:g} by default"
            for name, bound in LIMITS.items()
        ),
    )
    languages: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.ChoiceField(choices=list(LANGUAGES.items())),
        default=list,
        help_text="Allowed languages; empty allows all.",
    )
    modes: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.ChoiceField(choices=list(MODES.items())),
        default=list,
        help_text="Allowed ways of calling; empty allows both.",
    )
    models: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.CharField(max_length=100),
        default=list,
        max_length=50,
        help_text="Allowed models, with * for any text; empty allows any.",
    )
    require_model = serializers.BooleanField(default=False)
    reason = serializers.CharField(max_length=LONGEST, write_only=True)
    effective = LineSerializer(
        many=True,
        read_only=True,
        help_text="What holds here and which layers set it, by ?environment= for teams",
    )


class GvisorToolSerializer(serializers.ModelSerializer[SandboxPolicy]):
    """A pattern of tools that only scripts in gVisor may call."""

    reason = serializers.CharField(max_length=LONGEST, write_only=True)

    class Meta:
        model = SandboxPolicy
        fields = ("id", "tool", "reason", "changed_at")
        read_only_fields = ("changed_at",)
        extra_kwargs = {"tool": {"required": True, "allow_blank": False}}


class _Sandboxing(APIView):
    """Isolation and limits of one scope, for administrators."""

    permission_classes = [People]
    required_scope = ""
    capability = IDENTITY_ADMIN

    def scope(self, request: Request, **where: Any) -> Scope:
        raise NotImplementedError

    def get(self, request: Request, **where: Any) -> Response:
        """What the scope asks for; empty where it asks for nothing."""
        scope = self.scope(request, **where)
        place = request.query_params.get("environment", "").replace("\x00", "")
        return Response(_shown(scope, place))

    def put(self, request: Request, **where: Any) -> Response:
        """Replace what the scope asks for."""
        wanted = SandboxSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        scope = self.scope(request, **where)
        set_sandbox_policy(
            scope=scope,
            **wanted.validated_data,
            actor=actor_of(request._request),
            at=now(),
        )
        return Response(_shown(scope))


_documented = extend_schema(responses=SandboxSerializer)
_replaced = extend_schema(request=SandboxSerializer, responses=SandboxSerializer)


class EnvironmentSandbox(_Sandboxing):
    """Isolation and limits of an environment."""

    get = _documented(_Sandboxing.get)
    put = _replaced(_Sandboxing.put)

    def scope(self, request: Request, **where: Any) -> Scope:
        return Scope(environment=get_object_or_404(Environment, **where))


class TeamSandbox(_Sandboxing):
    """Isolation and limits of a team."""

    get = _documented(_Sandboxing.get)
    put = _replaced(_Sandboxing.put)

    def scope(self, request: Request, **where: Any) -> Scope:
        return Scope(team=get_object_or_404(Team, **where))


class KeySandbox(_Sandboxing):
    """Isolation and limits of a key."""

    get = _documented(_Sandboxing.get)
    put = _replaced(_Sandboxing.put)

    def scope(self, request: Request, **where: Any) -> Scope:
        return Scope(key=get_object_or_404(ApiKey, **where))


class GVisorTools(APIView):
    """Patterns of tools that only scripts in gVisor may call; POST adds one."""

    permission_classes = [People]
    required_scope = ""
    capability = IDENTITY_ADMIN

    @extend_schema(responses=GvisorToolSerializer(many=True))
    def get(self, request: Request) -> Response:
        """All patterns."""
        return Response(GvisorToolSerializer(selectors.gvisor_tools(), many=True).data)

    @extend_schema(request=GvisorToolSerializer, responses={201: GvisorToolSerializer})
    def post(self, request: Request) -> Response:
        """Let a tool, or a server's tools, be called only from gVisor."""
        wanted = GvisorToolSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        policy = set_sandbox_policy(
            scope=Scope(tool=wanted.validated_data["tool"]),
            require_gvisor=True,
            limits={},
            reason=wanted.validated_data["reason"],
            actor=actor_of(request._request),
            at=now(),
        )
        return Response(GvisorToolSerializer(policy).data, status=201)


class GVisorToolRemove(APIView):
    """Takes such a pattern away."""

    permission_classes = [People]
    required_scope = ""
    capability = IDENTITY_ADMIN

    @extend_schema(request=RemovalSerializer, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        """Let the tools be called from anywhere again."""
        wanted = RemovalSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        found = get_object_or_404(selectors.gvisor_tools(), pk=pk)
        set_sandbox_policy(
            scope=Scope(tool=found.tool),
            limits={},
            **wanted.validated_data,
            actor=actor_of(request._request),
            at=now(),
        )
        return Response(status=204)


def _shown(scope: Scope, environment: str = "") -> dict[str, Any]:
    policy = selectors.sandbox_policy_of(scope.as_filter)
    rule = policy.rule if policy else Rule()
    return {
        "level": rule.level,
        "require_gvisor": rule.require_gvisor,
        "limits": dict(rule.limits),
        "languages": list(rule.languages),
        "modes": list(rule.modes),
        "models": list(rule.models),
        "require_model": rule.require_model,
        "effective": LineSerializer(
            effective(scope.rules(environment)), many=True
        ).data,
    }
