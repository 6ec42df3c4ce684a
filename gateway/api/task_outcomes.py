"""REST endpoint that states how a task ended."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from core.reasons import LONGEST
from finops.models import TaskFact
from finops.services.task_facts import STATED
from gateway.services.task_outcomes import state
from policy import scopes
from policy.access import REPORTS_ANNOTATE
from policy.api.views import ApiRequest, acting


class StatedOutcomeSerializer(serializers.Serializer[Any]):
    """How a task ended, and why the caller says so."""

    outcome = serializers.ChoiceField(choices=STATED)
    reason = serializers.CharField(max_length=LONGEST)


class TaskOutcomeSerializer(serializers.ModelSerializer[TaskFact]):
    """A task with its outcome, which is the stated one from now on."""

    class Meta:
        model = TaskFact
        fields = ["task", "team", "outcome", "stated_by", "stated_at", "runs"]


class TaskOutcome(APIView):
    """States how a task ended."""

    required_scope = scopes.COSTS_WRITE
    capability = REPORTS_ANNOTATE

    @extend_schema(request=StatedOutcomeSerializer, responses=TaskOutcomeSerializer)
    def post(self, request: ApiRequest, uid: str) -> Response:
        """State that a task of one's own team succeeded or failed; the last word holds.

        A run of it must have ended.
        """
        wanted = StatedOutcomeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        fact = state(
            task=uid,
            outcome=wanted.validated_data["outcome"],
            reason=wanted.validated_data["reason"],
            teams=request.rights.teams_for(REPORTS_ANNOTATE),
            actor=acting(request),
            at=now(),
        )
        return Response(TaskOutcomeSerializer(fact).data)
