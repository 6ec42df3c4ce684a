"""REST endpoints of audit sinks; for people alone, since they serve every team."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.api.sink_serializers import (
    DeadLetterSerializer,
    ResendSerializer,
    ResentSerializer,
    SinkChangeSerializer,
    SinkListSerializer,
    SinkReasonSerializer,
    SinkRequestSerializer,
    SinkSerializer,
    TestedSerializer,
)
from audit.api.views import ByKey
from audit.models import DeadLetter
from audit.services import dead_letters, sinks
from audit.sink_states import sink_state, sink_states
from audit.web import AUDIT_ADMIN, AUDIT_READ, actor_of
from core.clock import now


class _ForPeople(APIView):
    people_only = True
    required_scope = ""
    capability: object = AUDIT_ADMIN


def _shown(sink_id: int, status: int = 200) -> Response:
    state = sink_state(sink_id, at=now())
    return Response(SinkSerializer(state.as_dict()).data, status=status)


class SinkList(_ForPeople):
    """Where the trail is delivered to; POST adds a sink."""

    capability = {"GET": AUDIT_READ, "POST": AUDIT_ADMIN}

    @extend_schema(operation_id="audit_sinks_list", responses=SinkListSerializer)
    def get(self, request: Request) -> Response:
        """Every sink with its state and lag."""
        found = [state.as_dict() for state in sink_states(at=now())]
        return Response({"results": SinkSerializer(found, many=True).data})

    @extend_schema(request=SinkRequestSerializer, responses={201: SinkSerializer})
    def post(self, request: Request) -> Response:
        """Add a sink; it is delivered to at once."""
        given = SinkRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = sinks.create_sink(
            wanted=given.wanted(given.validated_data["kind"]),
            from_start=given.validated_data["from_start"],
            actor=actor_of(request._request),
            at=now(),
        )
        return _shown(made.pk, status=201)


class SinkDetail(_ForPeople):
    """One sink; POST changes it."""

    capability = {"GET": AUDIT_READ, "POST": AUDIT_ADMIN}

    @extend_schema(responses=SinkSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """One sink with its state and lag."""
        return _shown(pk)

    @extend_schema(
        operation_id="audit_sinks_change",
        request=SinkChangeSerializer,
        responses=SinkSerializer,
    )
    def post(self, request: Request, pk: int) -> Response:
        """Change it; its kind and its place in the trail stay."""
        found = sinks.find_sink(pk)
        given = SinkChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        sinks.change_sink(
            sink_id=pk,
            wanted=given.wanted(found.kind, found.form),
            actor=actor_of(request._request),
            at=now(),
        )
        return _shown(pk)


class SinkTest(_ForPeople):
    """Tries a sink."""

    @extend_schema(request=None, responses=TestedSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Send the newest sealed event once more."""
        error = sinks.test_sink(sink_id=pk, actor=actor_of(request._request), at=now())
        return Response({"ok": not error, "error": error})


class SinkPause(_ForPeople):
    """Pauses a sink."""

    @extend_schema(request=SinkReasonSerializer, responses=SinkSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Deliver nothing until it is resumed; nothing is lost meanwhile."""
        given = SinkReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        sinks.pause_sink(
            sink_id=pk,
            **given.validated_data,
            actor=actor_of(request._request),
            at=now(),
        )
        return _shown(pk)


class SinkResume(_ForPeople):
    """Resumes a sink."""

    @extend_schema(request=None, responses=SinkSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Go on where it stopped, at once."""
        sinks.resume_sink(sink_id=pk, actor=actor_of(request._request), at=now())
        return _shown(pk)


class SinkRemove(_ForPeople):
    """Removes a sink."""

    @extend_schema(request=SinkReasonSerializer, responses={204: None})
    def post(self, request: Request, pk: int) -> Response:
        """Remove a sink that holds no dead letters."""
        given = SinkReasonSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        sinks.remove_sink(
            sink_id=pk,
            **given.validated_data,
            actor=actor_of(request._request),
            at=now(),
        )
        return Response(status=204)


class SinkResend(_ForPeople):
    """Sends dead letters again."""

    @extend_schema(request=ResendSerializer, responses=ResentSerializer)
    def post(self, request: Request, pk: int) -> Response:
        """Queue these dead letters, or all of them."""
        given = ResendSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        count = dead_letters.ask_again(
            sink_id=pk,
            letters=given.validated_data.get("letters"),
            actor=actor_of(request._request),
            at=now(),
        )
        return Response({"letters": count})


class DeadLetterList(generics.ListAPIView[DeadLetter]):
    """What a sink refused while it took others, newest first."""

    people_only = True
    required_scope = ""
    capability = AUDIT_READ
    queryset = DeadLetter.objects.none()  # what the API document reads the model from
    serializer_class = DeadLetterSerializer
    pagination_class = ByKey

    def get_queryset(self) -> QuerySet[DeadLetter]:
        return DeadLetter.objects.filter(sink_id=self.kwargs["pk"]).defer("body")
