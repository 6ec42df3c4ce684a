"""Approver groups and notification channels as the REST API shows and takes them."""

from typing import Any

from rest_framework import serializers

from policy.models import ApproverGroup, Notification, NotificationChannel
from policy.routing import Audience
from policy.services.channels import Settings


class GroupSerializer(serializers.ModelSerializer[ApproverGroup]):
    """An approver group with the user names of its people."""

    people: serializers.Field[Any, Any, Any, Any] = serializers.SlugRelatedField(
        slug_field="username", many=True, read_only=True
    )

    class Meta:
        model = ApproverGroup
        fields = ("slug", "name", "description", "people", "created_at")


class GroupChangeSerializer(serializers.Serializer[Any]):
    """What a group is changed to."""

    name = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=200, allow_blank=True, default="")
    people = serializers.ListField(
        child=serializers.CharField(max_length=150), max_length=500
    )


class GroupRequestSerializer(GroupChangeSerializer):
    """What a new group needs."""

    slug = serializers.CharField(max_length=40)


class ChannelSerializer(serializers.ModelSerializer[NotificationChannel]):
    """A notification channel, without its secret."""

    audience = serializers.SerializerMethodField()
    team = serializers.SerializerMethodField()
    events: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.CharField()
    )
    recipients: serializers.Field[Any, Any, Any, Any] = serializers.ListField(
        child=serializers.EmailField()
    )
    queued = serializers.IntegerField(read_only=True)
    dead = serializers.IntegerField(read_only=True)

    class Meta:
        model = NotificationChannel
        fields: tuple[str, ...] = (
            "id",
            "name",
            "kind",
            "audience",
            "team",
            "events",
            "recipients",
            "url",
            "with_arguments",
            "enabled",
            "failures",
            "queued",
            "dead",
            "created_at",
        )

    def get_audience(self, channel: NotificationChannel) -> dict[str, str]:
        return channel.audience.as_dict() if channel.audience else {}

    def get_team(self, channel: NotificationChannel) -> str:
        return channel.team.slug if channel.team else ""


class NewChannelSerializer(ChannelSerializer):
    """A channel just made: ``secret`` of a webhook is shown this once."""

    secret = serializers.CharField(read_only=True)

    class Meta(ChannelSerializer.Meta):
        fields = (*ChannelSerializer.Meta.fields, "secret")


class ChannelRequestSerializer(serializers.Serializer[Any]):
    """What a channel is set to; ``audience`` is {role: …}, {group: …} or empty."""

    name = serializers.CharField(max_length=100)
    kind = serializers.ChoiceField(choices=NotificationChannel.Kind.choices)
    audience = serializers.DictField(
        child=serializers.CharField(max_length=40), default=dict
    )
    team = serializers.CharField(max_length=40, allow_blank=True, default="")
    events = serializers.ListField(
        child=serializers.CharField(max_length=40), max_length=10
    )
    recipients = serializers.ListField(
        child=serializers.CharField(max_length=254), max_length=50, default=list
    )
    url = serializers.CharField(max_length=500, allow_blank=True, default="")
    with_arguments = serializers.BooleanField(default=False)
    enabled = serializers.BooleanField(default=True)

    @property
    def wanted(self) -> Settings:
        """The settings (of valid input). Raises Invalid for a senseless audience."""
        values = dict(self.validated_data)
        audience = values.pop("audience")
        return Settings(
            audience=Audience.parse(audience, where="audience") if audience else None,
            events=tuple(values.pop("events")),
            recipients=tuple(values.pop("recipients")),
            **values,
        )


class MessageSerializer(serializers.ModelSerializer[Notification]):
    """One message and what became of it."""

    channel = serializers.CharField(source="channel.name")
    approval = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = (
            "id",
            "uid",
            "channel",
            "approval",
            "event",
            "recipient",
            "state",
            "attempts",
            "last_error",
            "created_at",
            "next_at",
            "delivered_at",
        )

    def get_approval(self, message: Notification) -> str:
        return message.approval.uid if message.approval else ""
