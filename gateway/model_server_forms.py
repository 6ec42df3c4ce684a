"""Forms of model servers: they only read and check input."""

from typing import Any

from django import forms

from gateway.forms import SecretArea, read_headers
from gateway.models import ModelServer
from gateway.services.model_servers import LONGEST_SECONDS, Settings
from policy.forms import TollgateForm

_AS = " as "


class ModelServerForm(TollgateForm):
    """Where a model server is, and which of its models may be asked for."""

    name = forms.CharField(
        max_length=40,
        help_text="Letters, digits and hyphens, such as gpu-cluster.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    description = forms.CharField(max_length=400, required=False)
    url = forms.CharField(
        max_length=500,
        label="URL",
        help_text="What stands before /chat/completions; it usually ends with /v1. "
        "Hosts inside the perimeter, or without TLS, have to be named in "
        "TOLLGATE_WEBHOOK_PRIVATE_HOSTS.",
        widget=forms.TextInput(
            attrs={"inputmode": "url", "placeholder": "https://llm.example.net/v1"}
        ),
    )
    provider = forms.CharField(
        max_length=100,
        help_text="By which prices are found, such as openai, or a name of your own "
        "for models that you run.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    models = forms.CharField(
        help_text="One a line: the name that clients ask for; where the server has "
        "another, qwen3 as Qwen/Qwen3-32B.",
        widget=forms.Textarea(
            attrs={"rows": 4, "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    headers = forms.CharField(
        required=False,
        help_text="One a line, such as Authorization: Bearer …; stored sealed and "
        "never shown again.",
        widget=SecretArea(
            attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"}
        ),
    )
    timeout_seconds = forms.FloatField(
        label="Timeout",
        initial=120,
        min_value=1,
        max_value=LONGEST_SECONDS,
        help_text="Seconds that it may say nothing, before and within an answer.",
    )

    def clean_headers(self) -> dict[str, str]:
        return read_headers(str(self.cleaned_data["headers"]))

    def clean_models(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in str(self.cleaned_data["models"]).splitlines():
            public, _, own = (part.strip() for part in line.partition(_AS))
            if public in found:
                raise forms.ValidationError(
                    f"{public[:60]} stands twice: name each model once."
                )
            if public:
                found[public] = own or public
        if not found:
            raise forms.ValidationError("Name at least one model.")
        return found

    def wanted(self) -> Settings:
        """What is asked for; headers of None keep those that are stored."""
        values = self.cleaned_data
        entered: dict[str, str] = values["headers"]
        return Settings(
            url=values["url"],
            provider=values["provider"],
            offered=values["models"],
            description=values["description"],
            timeout_seconds=values["timeout_seconds"],
            secrets=entered if entered or values.get("forget_secrets") else None,
        )


class ModelServerChangeForm(ModelServerForm):
    """How a known model server is reached. Stored headers are replaced as a whole."""

    forget_secrets = forms.BooleanField(
        required=False, label="Remove the stored ones", label_suffix=""
    )

    def __init__(self, data: Any, *, server: ModelServer):
        shown = {
            "description": server.description,
            "url": server.url,
            "provider": server.provider,
            "models": "\n".join(
                public if public == own else f"{public}{_AS}{own}"
                for public, own in sorted(server.offered.items())
            ),
            "timeout_seconds": f"{server.timeout_seconds:g}",
        }
        super().__init__(data, initial=shown)
        del self.fields["name"]
        if server.secrets:
            self.fields["headers"].help_text = (
                "Leave it empty to keep what is stored. What you enter replaces all "
                "of it, one a line."
            )
        else:
            del self.fields["forget_secrets"]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if values.get("forget_secrets") and values.get("headers"):
            self.add_error(
                "forget_secrets", "Enter new ones or remove the stored ones, not both."
            )
        return values
