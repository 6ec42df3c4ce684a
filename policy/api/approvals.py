"""REST endpoints of approver groups and notification channels; for people alone."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.web import actor_of
from core.clock import now
from policy import approvers
from policy.access import IDENTITY_ADMIN, IDENTITY_READ
from policy.api.approval_serializers import (
    ChannelRequestSerializer,
    ChannelSerializer,
    GroupChangeSerializer,
    GroupRequestSerializer,
    GroupSerializer,
    MessageSerializer,
    NewChannelSerializer,
)
from policy.api.permissions import People
from policy.api.views import ApiRequest, ByKey
from policy.models import ApproverGroup, Notification, NotificationChannel
from policy.services import approver_groups, channels, deliveries


class _ForAdministrators(APIView):
    permission_classes = [People]
    required_scope = ""
    capability = IDENTITY_ADMIN


class GroupList(generics.ListAPIView[ApproverGroup]):
    """Approver groups; POST makes one."""

    permission_classes = [People]
    required_scope = ""
    capability = {"GET": IDENTITY_READ, "POST": IDENTITY_ADMIN}
    serializer_class = GroupSerializer
    pagination_class = ByKey

    def get_queryset(self) -> QuerySet[ApproverGroup]:
        return approvers.groups()

    @extend_schema(request=GroupRequestSerializer, responses={201: GroupSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Make a group that routes may name."""
        wanted = GroupRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        group = approver_groups.create_group(
            **wanted.validated_data, actor=actor_of(request._request), at=now()
        )
        return Response(GroupSerializer(group).data, status=201)


class GroupDetail(generics.RetrieveAPIView[ApproverGroup]):
    """One approver group; POST changes it."""

    permission_classes = [People]
    required_scope = ""
    capability = {"GET": IDENTITY_READ, "POST": IDENTITY_ADMIN}
    serializer_class = GroupSerializer

    def get_object(self) -> ApproverGroup:
        return approvers.group(self.kwargs["slug"])

    @extend_schema(
        operation_id="policy_approver_groups_change",
        request=GroupChangeSerializer,
        responses=GroupSerializer,
    )
    def post(self, request: ApiRequest, slug: str) -> Response:
        """Change its name and people; that holds at once."""
        wanted = GroupChangeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        approver_groups.change_group(
            slug=slug,
            **wanted.validated_data,
            actor=actor_of(request._request),
            at=now(),
        )
        return Response(GroupSerializer(approvers.group(slug)).data)


class GroupRemove(_ForAdministrators):
    """Removes an approver group."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: ApiRequest, slug: str) -> Response:
        """Remove a group that nothing waits for."""
        actor = actor_of(request._request)
        approver_groups.remove_group(slug=slug, actor=actor, at=now())
        return Response(status=204)


class ChannelList(_ForAdministrators, generics.ListAPIView[NotificationChannel]):
    """Notification channels; POST makes one."""

    serializer_class = ChannelSerializer
    pagination_class = ByKey

    def get_queryset(self) -> QuerySet[NotificationChannel]:
        return approvers.channels()

    @extend_schema(
        request=ChannelRequestSerializer, responses={201: NewChannelSerializer}
    )
    def post(self, request: ApiRequest) -> Response:
        """Make a channel. A webhook's signing secret is in this answer only."""
        wanted = ChannelRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        new = channels.create_channel(
            wanted=wanted.wanted, actor=actor_of(request._request), at=now()
        )
        shown = ChannelSerializer(approvers.channel(new.channel.pk)).data
        body = {**shown, "secret": new.secret}
        return Response(body, status=201, headers={"Cache-Control": "no-store"})


class ChannelDetail(_ForAdministrators, generics.RetrieveAPIView[NotificationChannel]):
    """One notification channel; POST changes it."""

    serializer_class = ChannelSerializer

    def get_object(self) -> NotificationChannel:
        return approvers.channel(self.kwargs["pk"])

    @extend_schema(
        operation_id="policy_channels_change",
        request=ChannelRequestSerializer,
        responses=ChannelSerializer,
    )
    def post(self, request: ApiRequest, pk: int) -> Response:
        """Change a channel; its kind stays."""
        wanted = ChannelRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        channels.change_channel(
            channel_id=pk,
            wanted=wanted.wanted,
            actor=actor_of(request._request),
            at=now(),
        )
        return Response(ChannelSerializer(approvers.channel(pk)).data)


class ChannelRemove(_ForAdministrators):
    """Removes a notification channel."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: ApiRequest, pk: int) -> Response:
        """Remove a channel with its messages."""
        actor = actor_of(request._request)
        channels.remove_channel(channel_id=pk, actor=actor, at=now())
        return Response(status=204)


class MessageList(_ForAdministrators, generics.ListAPIView[Notification]):
    """Messages of all channels, the newest first."""

    serializer_class = MessageSerializer
    pagination_class = ByKey

    def get_queryset(self) -> QuerySet[Notification]:
        return Notification.objects.select_related("channel", "approval")


class MessageAgain(_ForAdministrators):
    """Sends a dead message once more."""

    @extend_schema(request=None, responses=MessageSerializer)
    def post(self, request: ApiRequest, pk: int) -> Response:
        """Queue a dead message again."""
        message = deliveries.send_again(
            message_id=pk, actor=actor_of(request._request), at=now()
        )
        return Response(MessageSerializer(message).data)
