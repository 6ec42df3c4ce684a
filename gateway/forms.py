"""Forms of the catalog and the playground: they only read and check input."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from django import forms

from gateway.codemode.checks import LANGUAGES
from gateway.models import Server
from gateway.models.catalog import Effect, Idempotency
from policy.forms import TollgateForm

_HEADER = re.compile(r"^(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*:\s*(?P<value>.*)$")
_VARIABLE = re.compile(r"^(?P<name>[A-Za-z_][A-Za-z0-9_]*)=(?P<value>.*)$")


def _pairs(text: str, pattern: re.Pattern[str], example: str) -> dict[str, str]:
    """Names and values, one pair a line; the message never repeats the value."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = pattern.match(line.strip())
        if match is None:
            raise forms.ValidationError(
                f"Line {number} is not of the form {example}.", code="pair"
            )
        found[match["name"]] = match["value"]
    return found


def read_headers(text: str) -> dict[str, str]:
    """HTTP headers, one a line. Raises ValidationError."""
    return _pairs(text, _HEADER, "Name: value")


class SecretArea(forms.Textarea):
    """A text area that never sends back what was typed into it."""

    def format_value(self, value: Any) -> None:
        return None


class ServerForm(TollgateForm):
    """Where a new MCP server is and how it is reached."""

    name = forms.CharField(
        max_length=40,
        help_text="Scripts import it: letters, digits and underscores, such as crm.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    description = forms.CharField(
        max_length=400, required=False, help_text="What its tools are for."
    )
    transport = forms.ChoiceField(
        choices=Server.Transport.choices,
        initial=Server.Transport.HTTP,
        widget=forms.RadioSelect(attrs={"class": "tg-choice"}),
    )
    url = forms.CharField(
        max_length=500,
        required=False,
        label="URL",
        help_text="Usually ends with /mcp.",
        widget=forms.TextInput(
            attrs={"inputmode": "url", "placeholder": "https://crm.example.net/mcp"}
        ),
    )
    headers = forms.CharField(
        required=False,
        help_text="One a line, such as Authorization: Bearer …; stored sealed and "
        "never shown again.",
        widget=SecretArea(
            attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    command = forms.CharField(
        required=False,
        help_text="Quoted as in a shell; no shell runs it.",
        widget=forms.TextInput(
            attrs={"spellcheck": "false", "placeholder": "uvx mcp-server-time"}
        ),
    )
    environment = forms.CharField(
        required=False,
        help_text="One a line, such as API_TOKEN=…; stored sealed and never shown "
        "again.",
        widget=SecretArea(
            attrs={"rows": 3, "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    timeout_seconds = forms.FloatField(
        label="Timeout",
        initial=30,
        min_value=1,
        max_value=600,
        help_text="Seconds that one call may take.",
    )

    def clean_headers(self) -> dict[str, str]:
        return read_headers(str(self.cleaned_data["headers"]))

    def clean_environment(self) -> dict[str, str]:
        text = str(self.cleaned_data["environment"])
        return _pairs(text, _VARIABLE, "NAME=value")

    def clean_command(self) -> list[str]:
        try:
            return shlex.split(str(self.cleaned_data["command"]))
        except ValueError as error:
            raise forms.ValidationError(
                "A quotation mark is not closed: close it, or escape it with \\."
            ) from error

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        transport = self.transport_in(values)
        if transport == Server.Transport.HTTP and not values.get("url"):
            self._need("url", "Enter the URL at which the server answers.")
        if transport == Server.Transport.STDIO and values.get("command") == []:
            self._need("command", "Enter the command that starts the server.")
        return values

    def transport_in(self, values: Mapping[str, Any]) -> str | None:
        """How the server is reached; None while that is not known."""
        return values.get("transport")

    def _need(self, field: str, message: str) -> None:
        if field not in self.errors:
            self.add_error(field, message)

    def server(self) -> Mapping[str, Any]:
        """The arguments of ``add_server``; what the transport does not use is left."""
        values = self.cleaned_data
        http = values["transport"] == Server.Transport.HTTP
        return {
            "name": values["name"],
            "description": values["description"],
            "transport": values["transport"],
            "timeout_seconds": values["timeout_seconds"],
            "url": values["url"] if http else "",
            "command": () if http else tuple(values["command"]),
            "secrets": values["headers"] if http else values["environment"],
        }


class ServerChangeForm(ServerForm):
    """How a known server is reached. Stored secrets are replaced as a whole."""

    forget_secrets = forms.BooleanField(
        required=False, label="Remove the stored ones", label_suffix=""
    )

    def __init__(self, data: Any, *, server: Server):
        self.server_changed = server
        self.http = server.transport == Server.Transport.HTTP
        shown = {
            "description": server.description,
            "url": server.url,
            "command": shlex.join(map(str, server.command)),
            "timeout_seconds": f"{server.timeout_seconds:g}",
        }
        super().__init__(data, initial=shown)
        other = ("command", "environment") if self.http else ("url", "headers")
        for name in ("name", "transport", *other):
            del self.fields[name]
        if server.secrets:
            self.fields[self.secret_field].help_text = (
                "Leave it empty to keep what is stored. What you enter replaces all "
                "of it, one a line."
            )
        else:
            del self.fields["forget_secrets"]

    @property
    def secret_field(self) -> str:
        """The field that holds secrets on this transport."""
        return "headers" if self.http else "environment"

    def transport_in(self, values: Mapping[str, Any]) -> str | None:
        """The transport never changes."""
        return self.server_changed.transport

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        if values.get("forget_secrets") and values.get(self.secret_field):
            self.add_error(
                "forget_secrets", "Enter new ones or remove the stored ones, not both."
            )
        return values

    def change(self) -> Mapping[str, Any]:
        """The arguments of ``change_server``; ``secrets`` of None keeps them."""
        values = self.cleaned_data
        entered: dict[str, str] = values[self.secret_field]
        return {
            "url": values.get("url", ""),
            "command": tuple(values.get("command", ())),
            "description": values["description"],
            "timeout_seconds": values["timeout_seconds"],
            "secrets": entered if entered or values.get("forget_secrets") else None,
        }


class EffectForm(TollgateForm):
    """What calls of a tool may do."""

    effect = forms.ChoiceField(choices=Effect.choices, widget=forms.RadioSelect)


class IdempotencyForm(TollgateForm):
    """How a tool takes the key of a step, and which tool tells of its use."""

    how = forms.ChoiceField(label="The key is sent", choices=Idempotency.choices)
    name = forms.CharField(
        required=False,
        max_length=100,
        help_text="Of the argument, header or _meta entry.",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
    )
    lookup = forms.CharField(
        required=False,
        max_length=120,
        label="Look-up tool",
        help_text="A read tool of this server that is given the key and answers null "
        "where the call did not happen.",
        widget=forms.TextInput(
            attrs={
                "spellcheck": "false",
                "autocomplete": "off",
                "list": "lookup-tools",
            }
        ),
    )


class TagsForm(TollgateForm):
    """A tool's tags, separated by commas or spaces."""

    tags = forms.CharField(required=False, max_length=400)

    def words(self) -> list[str]:
        """The tags one by one."""
        return str(self.cleaned_data["tags"]).replace(",", " ").split()


class ReviewForm(TollgateForm):
    """One act on many chosen tools."""

    ACTS = [("confirm", "Confirm"), ("enable", "Enable"), ("disable", "Disable")]

    act = forms.ChoiceField(choices=ACTS)
    environment = forms.CharField(required=False, max_length=40)
    tool = forms.TypedMultipleChoiceField(coerce=int)

    def __init__(self, data: Any, *, tool_ids: list[int]):
        super().__init__(data)
        choices = [(str(pk), str(pk)) for pk in tool_ids]
        self.fields["tool"].choices = choices  # type: ignore[attr-defined]


class PlaygroundForm(TollgateForm):
    """A script and the key it runs as."""

    key = forms.IntegerField()
    code = forms.CharField(strip=False, widget=forms.Textarea)
    language = forms.ChoiceField(
        required=False, choices=[(name, name) for name in LANGUAGES]
    )
    task = forms.CharField(required=False, max_length=200)
    model = forms.CharField(required=False, max_length=100)
