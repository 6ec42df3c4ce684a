"""Forms of approver groups and notification channels; they only read input."""

import re
from typing import Any

from django import forms

from policy.forms import SLUG_HELP, TollgateForm
from policy.models import ApproverGroup, NotificationChannel, Team
from policy.routing import ROLES, Audience
from policy.services.channels import Settings
from policy.services.notify import ASKING, EVENTS


def words(text: object) -> tuple[str, ...]:
    """Words with blanks or commas between them."""
    return tuple(word for word in re.split(r"[\s,;]+", str(text or "")) if word)


class GroupChangeForm(TollgateForm):
    """An approver group that exists."""

    name = forms.CharField(max_length=100)
    description = forms.CharField(
        max_length=200, required=False, help_text="What it decides on, in a sentence."
    )
    people = forms.CharField(
        required=False,
        max_length=20_000,
        help_text="User names, with blanks or new lines between them; of any team.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
    )

    def clean_people(self) -> tuple[str, ...]:
        return words(self.cleaned_data["people"])


class GroupForm(GroupChangeForm):
    """A new approver group."""

    field_order = ["name", "slug", "description", "people"]

    slug = forms.SlugField(label="Short name", max_length=40, help_text=SLUG_HELP)

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if slug == "add":
            raise forms.ValidationError("This word is taken: choose another.")
        return slug


class ChannelForm(TollgateForm):
    """A notification channel; what only one kind needs is left out for the other."""

    name = forms.CharField(max_length=100)
    kind = forms.ChoiceField(choices=NotificationChannel.Kind.choices)
    audience = forms.ChoiceField(
        label="Tells of requests that ask",
        required=False,
        help_text="A group or role that a route names.",
    )
    team = forms.ChoiceField(
        label="Only for calls of",
        required=False,
    )
    events = forms.MultipleChoiceField(
        label="When",
        choices=list(EVENTS.items()),
        initial=list(ASKING),
        widget=forms.CheckboxSelectMultiple,
    )
    url = forms.CharField(
        label="Address (webhook)",
        required=False,
        max_length=500,
        help_text="https://…; each message is signed as Standard Webhooks says.",
        widget=forms.TextInput(attrs={"inputmode": "url", "spellcheck": "false"}),
    )
    recipients = forms.CharField(
        label="Recipients (e-mail)",
        required=False,
        max_length=10_000,
        help_text="Addresses, with blanks between them. Empty: each person asked.",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    with_arguments = forms.BooleanField(
        label="Send the arguments too, redacted",
        required=False,
        help_text="Off: the message says which call, and links to its page.",
        widget=forms.CheckboxInput(attrs={"class": "tg-choice"}),
    )
    enabled = forms.BooleanField(
        label="On",
        required=False,
        initial=True,
        widget=forms.CheckboxInput(attrs={"class": "tg-choice"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups = ApproverGroup.objects.order_by("slug").values_list("slug", "name")
        self.fields["audience"].choices = [  # type: ignore[attr-defined]
            ("", "anybody"),
            *((f"role:{role}", f"role {role}") for role in ROLES),
            *((f"group:{slug}", f"group {name}") for slug, name in groups),
        ]
        teams = Team.objects.order_by("name").values_list("slug", "name")
        self.fields["team"].choices = [("", "every team"), *teams]  # type: ignore[attr-defined]

    @property
    def wanted(self) -> Settings:
        """The channel's settings (of a valid form)."""
        values = self.cleaned_data
        kind, _, name = values["audience"].partition(":")
        return Settings(
            name=values["name"],
            kind=values["kind"],
            audience=Audience(kind, name) if kind else None,
            team=values["team"],
            events=tuple(values["events"]),
            recipients=words(values["recipients"]),
            url=values["url"].strip(),
            with_arguments=values["with_arguments"],
            enabled=values["enabled"],
        )


def initial_of(wanted: Settings) -> dict[str, Any]:
    """What a form shows of a channel."""
    audience = wanted.audience
    return {
        "name": wanted.name,
        "kind": wanted.kind,
        "audience": f"{audience.kind}:{audience.name}" if audience else "",
        "team": wanted.team,
        "events": list(wanted.events),
        "recipients": "\n".join(wanted.recipients),
        "url": wanted.url,
        "with_arguments": wanted.with_arguments,
        "enabled": wanted.enabled,
    }
