"""REST endpoints of what people decide: approvals and unknown outcomes."""

from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.web import actor_of
from core.clock import now
from core.errors import NotFound
from gateway.api.hold_serializers import (
    ApprovalSerializer,
    BulkDecisionSerializer,
    BulkResultSerializer,
    DecisionSerializer,
    OutcomeSerializer,
    ResolutionSerializer,
)
from gateway.hold_filters import ApprovalFilter, OutcomeFilter
from gateway.models import ToolCall
from gateway.selectors.approvals import approval_for, visible_approvals
from gateway.selectors.outcomes import outcome_for, visible_outcomes
from gateway.services.holds import decide_all, decide_approval, resolve
from policy.access import APPROVALS_DECIDE, OUTCOMES_RESOLVE, Access
from policy.api.permissions import People
from policy.models import Approval


class Newest(CursorPagination):
    """Pages that stay put while rows are added."""

    ordering = "-pk"
    page_size = 50


class Deciders(People):
    """Only people decide."""

    refusal = "People decide, never keys: sign in and use the page."


class PersonRequest(Request):
    """A request once Deciders has let it in."""

    rights: Access


class ApprovalList(generics.ListAPIView[Approval]):
    """Approvals of the teams one decides for; without ``state`` those that wait."""

    permission_classes = [Deciders]
    required_scope = ""
    capability = APPROVALS_DECIDE
    queryset = Approval.objects.none()
    serializer_class = ApprovalSerializer
    pagination_class = Newest
    filter_backends = [DjangoFilterBackend]
    filterset_class = ApprovalFilter
    request: PersonRequest

    def get_queryset(self) -> QuerySet[Approval]:
        rows = visible_approvals(self.request.rights)
        return rows.prefetch_related("routes", "votes")


class ApprovalDetail(generics.RetrieveAPIView[Approval]):
    """One approval."""

    permission_classes = [Deciders]
    required_scope = ""
    capability = APPROVALS_DECIDE
    serializer_class = ApprovalSerializer
    request: PersonRequest

    def get_object(self) -> Approval:
        return approval_for(self.request.rights, self.kwargs["uid"])


class ApprovalDecide(APIView):
    """Approves or rejects a call."""

    permission_classes = [Deciders]
    required_scope = ""
    capability = APPROVALS_DECIDE

    @extend_schema(request=DecisionSerializer, responses=ApprovalSerializer)
    def post(self, request: PersonRequest, uid: str) -> Response:
        """Decide once; one's own request is refused, and that is on record."""
        approval = approval_for(request.rights, uid)
        wanted = DecisionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        decided = decide_approval(
            uid=approval.uid,
            actor=actor_of(request._request),
            at=now(),
            **wanted.validated_data,
        )
        return Response(ApprovalSerializer(decided).data)


class ApprovalsDecide(APIView):
    """Approves or rejects several calls, each by itself."""

    permission_classes = [Deciders]
    required_scope = ""
    capability = APPROVALS_DECIDE

    @extend_schema(
        operation_id="approvals_decide_many",
        request=BulkDecisionSerializer,
        responses=BulkResultSerializer(many=True),
    )
    def post(self, request: PersonRequest) -> Response:
        """Decide on each; what cannot be decided is skipped, and says why."""
        wanted = BulkDecisionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values: dict[str, Any] = wanted.validated_data
        seen = visible_approvals(request.rights).filter(uid__in=values["approvals"])
        known = set(seen.values_list("uid", flat=True))
        if unknown := [uid for uid in values["approvals"] if uid not in known]:
            raise NotFound(f"There is no approval {unknown[0][:40]} that you may see.")
        done = decide_all(
            uids=values["approvals"],
            approve=values["approve"],
            reason=values["reason"],
            actor=actor_of(request._request),
            at=now(),
        )
        return Response(BulkResultSerializer(done, many=True).data)


class OutcomeList(generics.ListAPIView[ToolCall]):
    """Calls with unknown outcomes; without ``state`` those to be decided."""

    permission_classes = [Deciders]
    required_scope = ""
    capability = OUTCOMES_RESOLVE
    queryset = ToolCall.objects.none()
    serializer_class = OutcomeSerializer
    pagination_class = Newest
    filter_backends = [DjangoFilterBackend]
    filterset_class = OutcomeFilter
    request: PersonRequest

    def get_queryset(self) -> QuerySet[ToolCall]:
        return visible_outcomes(self.request.rights)


class OutcomeResolve(APIView):
    """Says what became of a call."""

    permission_classes = [Deciders]
    required_scope = ""
    capability = OUTCOMES_RESOLVE

    @extend_schema(request=ResolutionSerializer, responses=OutcomeSerializer)
    def post(self, request: PersonRequest, pk: int) -> Response:
        """Put on record whether a call happened; its run goes on, or is abandoned."""
        call = outcome_for(request.rights, pk)
        wanted = ResolutionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values: dict[str, Any] = wanted.validated_data
        resolve(call_id=call.pk, actor=actor_of(request._request), at=now(), **values)
        return Response(OutcomeSerializer(outcome_for(request.rights, pk)).data)
