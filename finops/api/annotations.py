"""REST endpoints of annotations: a CI system notes its deployments here."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from finops.models import Annotation
from finops.selectors.marks import visible_annotations
from finops.services import annotations as service
from policy import scopes
from policy.access import COSTS_READ, REPORTS_ANNOTATE
from policy.api.views import ApiRequest, acting
from policy.principal import Principal


class AnnotationSerializer(serializers.ModelSerializer[Annotation]):
    """A deployment or a note on the time line of the reports."""

    class Meta:
        model = Annotation
        fields = [
            "uid",
            "at",
            "kind",
            "text",
            "team",
            "link",
            "external_id",
            "author",
            "created_at",
        ]


class NoteSerializer(serializers.Serializer[Any]):
    """What happened. Without ``at`` it is now; a key notes for its own team."""

    text = serializers.CharField(max_length=service.LONGEST_TEXT)
    kind = serializers.ChoiceField(
        choices=Annotation.Kind.choices, default=Annotation.Kind.DEPLOYMENT
    )
    at = serializers.DateTimeField(required=False)
    team = serializers.CharField(
        max_length=40,
        required=False,
        allow_blank=True,
        help_text="A team's short name; empty for all teams, which finance may",
    )
    link = serializers.CharField(max_length=500, default="", allow_blank=True)
    external_id = serializers.CharField(
        max_length=120,
        default="",
        allow_blank=True,
        help_text="Of the caller; the same again changes nothing",
    )


class ByTime(CursorPagination):
    """The newest first."""

    ordering = ("-at", "-pk")
    page_size = 50


class AnnotationList(generics.ListAPIView[Annotation]):
    """Annotations that the caller may see; POST notes one."""

    required_scope = {"GET": scopes.COSTS_READ, "POST": scopes.COSTS_WRITE}
    capability = {"GET": COSTS_READ, "POST": REPORTS_ANNOTATE}
    serializer_class = AnnotationSerializer
    pagination_class = ByTime
    request: ApiRequest

    def get_queryset(self) -> QuerySet[Annotation]:
        return visible_annotations(self.request.rights)

    @extend_schema(
        request=NoteSerializer,
        responses={201: AnnotationSerializer, 200: AnnotationSerializer},
    )
    def post(self, request: ApiRequest) -> Response:
        """Note a deployment: 201, or 200 where its external id is noted already."""
        wanted = NoteSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        at = now()
        values: dict[str, Any] = {"at": at, "team": "", **wanted.validated_data}
        if isinstance(request.auth, Principal) and "team" not in wanted.validated_data:
            values["team"] = request.auth.team
        found, new = service.annotate(
            note=service.Note(**values),
            teams=request.rights.teams_for(REPORTS_ANNOTATE),
            actor=acting(request),
            at=at,
        )
        body = AnnotationSerializer(found).data
        return Response(body, status=201 if new else 200)


class AnnotationRemove(APIView):
    """Takes an annotation away."""

    required_scope = scopes.COSTS_WRITE
    capability = REPORTS_ANNOTATE

    @extend_schema(request=None, responses={204: None})
    def post(self, request: ApiRequest, uid: str) -> Response:
        """Take it away: one's own, or one of a team that one notes for."""
        service.remove(
            uid=uid,
            teams=request.rights.teams_for(REPORTS_ANNOTATE),
            actor=acting(request),
            at=now(),
        )
        return Response(status=204)
