"""The form of each kind of sink; forms only read input."""

from typing import Any

from django import forms

from audit.formats import LABELS
from audit.models import Sink
from audit.services.sinks import Wanted
from audit.sinks import DEFAULT_FORMS, DEFAULTS, KINDS
from core.forms import TollgateForm

_PEM = {"rows": 4, "spellcheck": "false", "class": "form-control tg-mono"}
_HIDDEN = {"autocomplete": "off"}
_KEPT = "Kept sealed and never shown again."
START, NEW = "start", "new"


class SecretText(forms.Textarea):
    """Several lines that are never written back into a page."""

    def format_value(self, value: Any) -> str:
        return ""


def _secret(label: str, help_text: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs=_HIDDEN)
    return forms.CharField(
        label=label,
        required=False,
        max_length=4_000,
        help_text=help_text,
        widget=widget,
    )


def _pem(label: str, help_text: str) -> forms.CharField:
    widget = forms.Textarea(attrs=_PEM)
    return forms.CharField(
        label=label,
        required=False,
        max_length=64_000,
        help_text=help_text,
        widget=widget,
    )


_FIELDS: dict[str, Any] = {
    "file": lambda: forms.CharField(
        label="File name",
        max_length=100,
        help_text="Such as audit.jsonl. It lies in the folder that the operator set "
        "with TOLLGATE_AUDIT_SINK_DIR, and is put aside with the time when it is full "
        "or old.",
    ),
    "megabytes": lambda: forms.IntegerField(label="Put aside at, MB", min_value=1),
    "hours": lambda: forms.IntegerField(label="Put aside after, hours", min_value=1),
    "host": lambda: forms.CharField(
        label="Host", max_length=253, help_text="Its certificate has to name it."
    ),
    "port": lambda: forms.IntegerField(label="Port", min_value=1, max_value=65_535),
    "url": lambda: forms.CharField(label="Address", max_length=500),
    "index": lambda: forms.CharField(
        label="Splunk index",
        required=False,
        max_length=80,
        help_text="Empty: the one that the token is for.",
    ),
    "authority": lambda: _pem(
        "Certificate authority", "PEM. Empty: the authorities of the system."
    ),
    "certificate": lambda: _pem(
        "Client certificate", "PEM, where the receiver asks who we are (mutual TLS)."
    ),
    "key": lambda: forms.CharField(
        label="Key of the client certificate",
        required=False,
        max_length=20_000,
        help_text=f"PEM, without a passphrase. {_KEPT}",
        widget=SecretText(attrs=_PEM | _HIDDEN),
    ),
    "token": lambda: _secret("HEC token", _KEPT),
    "authorization": lambda: _secret(
        "Authorization header", f"Such as “Bearer …”, where it is needed. {_KEPT}"
    ),
    "signing": lambda: _secret(
        "Signing secret",
        "Standard Webhooks: echo whsec_$(openssl rand -base64 32). Give the same to "
        f"the receiver. {_KEPT}",
    ),
}
_URLS = {
    "splunk": "Such as https://splunk.example.org:8088, without a path.",
    "otlp": "Such as https://collector.example.org:4318/v1/logs.",
    "webhook": "Where batches are sent to.",
}


class SinkForm(TollgateForm):
    """A sink of one kind; with ``sink`` one that exists."""

    name = forms.CharField(max_length=60)
    form = forms.ChoiceField(label="Format")

    def __init__(
        self, *args: Any, kind: str, sink: Sink | None = None, **kwargs: Any
    ) -> None:
        initial = {
            "form": DEFAULT_FORMS[kind],
            "begin": START,
            **DEFAULTS.get(kind, {}),
        }
        if sink is not None:
            initial = {"name": sink.name, "form": sink.form, **sink.options}
        super().__init__(*args, initial=initial, **kwargs)
        self.kind = kind
        known = KINDS[kind]
        self.fields["form"].choices = [  # type: ignore[attr-defined]
            (name, LABELS[name]) for name in known.forms
        ]
        for name in (*known.options, *known.secrets):
            self.fields[name] = _FIELDS[name]()
            self.fields[name].widget.attrs.setdefault("class", "form-control")
        if "url" in self.fields:
            self.fields["url"].help_text = _URLS[kind]
        if sink is None:
            self.fields["begin"] = forms.ChoiceField(
                label="Begins with",
                choices=[
                    (START, "The start of the trail"),
                    (NEW, "What is sealed from now on"),
                ],
                widget=forms.Select(attrs={"class": "form-select"}),
            )
        elif sink.secret:
            for name in known.secrets:
                self.fields[
                    name
                ].help_text = (
                    "Empty: it stays as it is. If the receiver changes, enter it again."
                )

    @property
    def wanted(self) -> Wanted:
        """What was entered."""
        known, values = KINDS[self.kind], self.cleaned_data
        return Wanted(
            name=values["name"],
            kind=self.kind,
            form=values["form"],
            options={n: values[n] for n in known.options if values.get(n)},
            secrets={n: values[n] for n in known.secrets if values.get(n)},
        )

    @property
    def from_start(self) -> bool:
        return bool(self.cleaned_data.get("begin") == START)


class ReasonForm(TollgateForm):
    """Why a sink is paused or removed."""

    reason = forms.CharField(
        max_length=300, help_text="It stands in the audit trail beside your name."
    )
