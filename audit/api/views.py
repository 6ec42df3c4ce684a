"""REST endpoints of the trail."""

import json
from typing import Any

from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import generics, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from audit import selectors
from audit.filters import EventFilter
from audit.models import Event
from audit.web import AUDIT_READ, Rights

_SCOPE = "audit:read"


class EventSerializer(serializers.ModelSerializer[Event]):
    """An event as the lists show it."""

    class Meta:
        model = Event
        fields: tuple[str, ...] = selectors.COLUMNS[:-1]


class WholeEventSerializer(EventSerializer):
    """An event with its body."""

    body = serializers.SerializerMethodField()

    class Meta(EventSerializer.Meta):
        fields = selectors.COLUMNS

    def get_body(self, event: Event) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(event.body)
        return body


class ByKey(CursorPagination):
    """Pages that stay put while events come in."""

    ordering = ("-at", "-pk")
    page_size = 100


class _Request(Request):
    rights: Rights


class EventList(generics.ListAPIView[Event]):
    """Events that the caller may see, newest first, with the explorer's filters."""

    queryset = Event.objects.none()  # what the API document reads the model from
    required_scope = _SCOPE
    capability = AUDIT_READ
    serializer_class = EventSerializer
    pagination_class = ByKey
    filter_backends = [DjangoFilterBackend]
    filterset_class = EventFilter
    request: _Request

    def get_queryset(self) -> QuerySet[Event]:
        return selectors.visible_events(self.request.rights)


class EventDetail(generics.RetrieveAPIView[Event]):
    """One event with its body."""

    required_scope = _SCOPE
    capability = AUDIT_READ
    serializer_class = WholeEventSerializer
    request: _Request

    def get_object(self) -> Event:
        return selectors.visible_event(self.request.rights, self.kwargs["uid"])
