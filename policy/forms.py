"""What people may send to the pages of this app; forms only validate."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.validators import UnicodeUsernameValidator

from core.forms import TollgateForm as TollgateForm
from policy import scopes
from policy.models import (
    Environment,
    Membership,
    Project,
    ServiceAccount,
    Team,
    User,
)


class SignInForm(TollgateForm):
    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none"}
        ),
    )
    password = forms.CharField(
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


SLUG_HELP = "Small letters, digits and dashes; it cannot be changed later."
_NEW_PASSWORD = {"autocomplete": "new-password"}


class TeamForm(TollgateForm):
    name = forms.CharField(max_length=100)
    slug = forms.SlugField(label="Short name", max_length=40, help_text=SLUG_HELP)
    cost_centre = forms.CharField(
        max_length=40, help_text="The code that finance books this team's costs on."
    )

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if slug == "add":
            raise forms.ValidationError("This word is taken: choose another.")
        return slug


class TeamChangeForm(TollgateForm):
    name = forms.CharField(max_length=100)
    cost_centre = forms.CharField(
        max_length=40,
        help_text="Holds from now on: what is metered already stays where it was.",
    )


class MemberForm(TollgateForm):
    username = forms.CharField(label="User name", max_length=150)
    role = forms.ChoiceField(choices=Membership.Role.choices)

    def clean_username(self) -> User:
        name = self.cleaned_data["username"]
        user = User.objects.filter(username=name).first()
        if user is None:
            raise forms.ValidationError(
                f"There is no user {name}: create them under Settings, People first."
            )
        return user


class ProjectForm(TollgateForm):
    name = forms.CharField(max_length=100)
    slug = forms.SlugField(label="Short name", max_length=40)


class AccountForm(TollgateForm):
    name = forms.SlugField(max_length=60)
    description = forms.CharField(max_length=200, required=False)


class EnvironmentForm(TollgateForm):
    name = forms.CharField(max_length=100)
    slug = forms.SlugField(label="Short name", max_length=40, help_text=SLUG_HELP)
    position = forms.IntegerField(
        min_value=0, max_value=1000, initial=0, help_text="Lists show 0 first."
    )


class PersonForm(TollgateForm):
    username = forms.CharField(
        label="User name",
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    first_name = forms.CharField(max_length=150, required=False)
    last_name = forms.CharField(max_length=150, required=False)
    email = forms.EmailField(required=False)
    password = forms.CharField(
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput(attrs=_NEW_PASSWORD),
        help_text="At least 8 characters, not a common password. Tell it in person.",
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if password := values.get("password"):
            person = User(
                username=values.get("username", ""),
                first_name=values.get("first_name", ""),
                last_name=values.get("last_name", ""),
                email=values.get("email", ""),
            )
            try:
                validate_password(password, person)
            except forms.ValidationError as error:
                self.add_error("password", error)
        return values


class KeyForm(TollgateForm):
    """A key of one team: the choices are that team's own."""

    name = forms.CharField(
        max_length=100, help_text="What will use it, such as “nightly report”."
    )
    account = forms.ModelChoiceField(
        label="Service account",
        queryset=ServiceAccount.objects.none(),
        required=False,
        empty_label="A new one, named below",
    )
    new_account = forms.SlugField(
        label="New service account",
        max_length=60,
        required=False,
        help_text="Only where no account above is chosen.",
    )
    environment = forms.ModelChoiceField(
        queryset=Environment.objects.none(), empty_label=None
    )
    project = forms.ModelChoiceField(queryset=Project.objects.none(), empty_label=None)
    scopes = forms.MultipleChoiceField(
        required=False,
        choices=[(name, f"{name} – {text}") for name, text in scopes.EXPLAINED],
        initial=list(scopes.DEFAULT),
        widget=forms.CheckboxSelectMultiple,
    )
    more_scopes = forms.CharField(
        label="Narrower scopes",
        required=False,
        max_length=1000,
        help_text="Such as tools:crm.* or tools:crm.list_orders, with spaces between. "
        "They narrow nothing while tools:* is ticked.",
    )
    expires_on = forms.DateField(
        label="Expires on",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The key stops at the end of this day, UTC. Empty: it never expires.",
    )

    def __init__(self, *args: Any, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["account"].queryset = team.service_accounts.order_by("name")  # type: ignore[attr-defined]
        self.fields["environment"].queryset = Environment.objects.order_by(  # type: ignore[attr-defined]
            "position", "slug"
        )
        self.fields["project"].queryset = team.projects.order_by("slug")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not values.get("account") and not values.get("new_account"):
            self.add_error("account", "Choose a service account, or name a new one.")
        if values.get("account") and values.get("new_account"):
            self.add_error("new_account", "Choose one or name one, not both.")
        return values

    @property
    def granted(self) -> list[str]:
        """The scopes asked for, ticked and written ones together."""
        words = str(self.cleaned_data["more_scopes"]).replace(",", " ").split()
        return [*self.cleaned_data["scopes"], *words]

    @property
    def expires_at(self) -> datetime | None:
        """The end of the chosen day, UTC."""
        day = self.cleaned_data["expires_on"]
        if day is None:
            return None
        return datetime.combine(day + timedelta(days=1), time(), UTC)


class PersonalKeyForm(TollgateForm):
    name = forms.CharField(
        max_length=100, help_text="Where you will use it, such as “my laptop”."
    )
    days = forms.IntegerField(
        label="Days until it expires", min_value=1, max_value=90, initial=30
    )


class RevokeForm(TollgateForm):
    reason = forms.CharField(
        max_length=300, help_text="It stands in the audit trail beside your name."
    )
