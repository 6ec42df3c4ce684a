"""Pages of notification channels, and of what became of their messages."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from audit.history import history_of
from core.clock import now
from core.tables import keyset, paged
from policy import approvers
from policy.access import IDENTITY_ADMIN
from policy.approval_forms import ChannelForm, initial_of
from policy.models import NotificationChannel
from policy.services import channels, deliveries
from policy.services.channels import NewChannel
from policy.views import once
from policy.views.forms import attempt, posted
from policy.web import Request, actor_of, requires


@require_safe
@requires(IDENTITY_ADMIN)
def channel_list(request: Request) -> HttpResponse:
    """Who is told of approvals, and how."""
    context = {"page": paged(approvers.channels(), request), "at": now()}
    return render(request, "settings/notifications.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def channel_add(request: Request) -> HttpResponse:
    """A new channel; a webhook's secret is on the next page, once."""
    form = ChannelForm(posted(request))
    made: list[NewChannel] = []
    if request.method == "POST" and attempt(
        form,
        lambda: made.append(
            channels.create_channel(
                wanted=form.wanted, actor=actor_of(request), at=now()
            )
        ),
    ):
        return _made(request, made[0])
    status = 422 if request.method == "POST" else 200
    context = {"form": form}
    return render(request, "settings/notification_add.html", context, status=status)


def _made(request: Request, new: NewChannel) -> HttpResponse:
    if not new.secret:
        messages.success(request, f"{new.channel.name} was created.")
        return redirect("notification_channel", new.channel.pk)
    kept = {"pk": new.channel.pk, "name": new.channel.name, "text": new.secret}
    once.keep(request, "webhook", kept)
    return redirect("notification_secret")


@never_cache
@require_GET
@requires(IDENTITY_ADMIN)
def channel_secret(request: Request) -> HttpResponse:
    """The signing secret just made; a second look finds nothing."""
    kept = once.take(request, "webhook")
    if kept is None:
        messages.warning(request, "A secret is shown once. Make a new one if needed.")
        return redirect("notifications")
    return render(request, "settings/notification_secret.html", kept)


@require_http_methods(["GET", "HEAD", "POST"])
@requires(IDENTITY_ADMIN)
def channel(request: Request, pk: int) -> HttpResponse:
    """One channel: what it is set to, and its latest messages."""
    found = approvers.channel(pk)
    form = ChannelForm(posted(request), initial=initial_of(channels.settings_of(found)))
    form.fields["kind"].disabled = True
    if request.method == "POST" and attempt(
        form,
        lambda: channels.change_channel(
            channel_id=pk, wanted=form.wanted, actor=actor_of(request), at=now()
        ),
    ):
        messages.success(request, "The channel was changed.")
        return redirect("notification_channel", pk)
    context = {
        "form": form,
        "channel": found,
        "webhook": found.kind == NotificationChannel.Kind.WEBHOOK,
        "page": keyset(found.messages.select_related("approval"), request),
        **history_of(request.access, "notification_channel", str(pk)),
        "at": now(),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "settings/notification.html", context, status=status)


@require_POST
@requires(IDENTITY_ADMIN)
def channel_rotate(request: Request, pk: int) -> HttpResponse:
    """Give a webhook another secret."""
    return _made(
        request,
        channels.rotate_secret(channel_id=pk, actor=actor_of(request), at=now()),
    )


@require_POST
@requires(IDENTITY_ADMIN)
def channel_test(request: Request, pk: int) -> HttpResponse:
    """Send a message that asks nothing."""
    channels.send_test(channel_id=pk, actor=actor_of(request), at=now())
    messages.success(request, "A test is on its way: its message stands below.")
    return redirect("notification_channel", pk)


@require_POST
@requires(IDENTITY_ADMIN)
def channel_remove(request: Request, pk: int) -> HttpResponse:
    """Remove a channel with its messages."""
    channels.remove_channel(channel_id=pk, actor=actor_of(request), at=now())
    messages.success(request, "The channel was removed.")
    return redirect("notifications")


@require_POST
@requires(IDENTITY_ADMIN)
def message_again(request: Request, pk: int) -> HttpResponse:
    """Send a dead message once more."""
    message = deliveries.send_again(message_id=pk, actor=actor_of(request), at=now())
    messages.success(request, "The message is queued again.")
    return redirect("notification_channel", message.channel_id)
