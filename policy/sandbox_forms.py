"""What people may send about isolation and limits; forms only validate."""

from typing import Any

from django import forms

from core.reasons import LONGEST
from policy.forms import TollgateForm
from policy.models import SandboxPolicy
from policy.sandbox import LANGUAGES, LIMITS, MODES, number

_GIVEN = (
    "level",
    "require_gvisor",
    "languages",
    "modes",
    "require_model",
    "reason",
)


class SandboxForm(TollgateForm):
    """Level and limits of one scope; a field left empty asks for nothing."""

    level = forms.ChoiceField(
        required=False,
        choices=[("", "Nothing asked for"), *SandboxPolicy.Level.choices],
        help_text="Level team is faster; its runs share one gVisor sandbox per team, "
        "each in an interpreter of its own.",
    )
    require_gvisor = forms.BooleanField(
        required=False,
        label="Require gVisor",
        help_text="Runs are refused on runners without it.",
    )

    languages = forms.MultipleChoiceField(
        required=False,
        choices=list(LANGUAGES.items()),
        widget=forms.CheckboxSelectMultiple,
        label="Allowed languages",
        help_text="None ticked: all of them.",
    )
    modes = forms.MultipleChoiceField(
        required=False,
        choices=list(MODES.items()),
        widget=forms.CheckboxSelectMultiple,
        label="Allowed ways of calling",
        help_text="None ticked: both.",
    )
    models = forms.CharField(
        required=False,
        max_length=6_000,
        label="Allowed models",
        help_text="Names, with * for any text, such as gpt-5* qwen3-*. Empty: any.",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
    )
    require_model = forms.BooleanField(
        required=False,
        label="Require the model's name",
        help_text="Runs that do not say which model they are from are refused.",
    )
    reason = forms.CharField(
        max_length=LONGEST, help_text="An auditor reads it beside your name."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, bound in LIMITS.items():
            unit = f" {bound.unit}" if bound.unit else ""
            self.fields[name] = forms.FloatField(
                label=bound.label,
                required=False,
                min_value=bound.least,
                max_value=bound.most,
                help_text=f"{number(bound.default)}{unit} unless set; "
                f"from {number(bound.least)} to {number(bound.most)}.",
                widget=forms.NumberInput(
                    attrs={
                        "class": "form-control",
                        "step": "1" if bound.whole else "any",
                    }
                ),
            )
        self.fields["reason"] = self.fields.pop("reason")

    @property
    def wanted(self) -> dict[str, Any]:
        """What was filled in, as the service takes it."""
        given = {name: self.cleaned_data[name] for name in _GIVEN}
        models = self.cleaned_data["models"].replace(",", " ").split()
        return given | {"models": models, "limits": self.limits}

    @property
    def limits(self) -> dict[str, object]:
        """The limits that were filled in."""
        values = {name: self.cleaned_data.get(name) for name in LIMITS}
        return {name: value for name, value in values.items() if value is not None}


class GVisorToolForm(TollgateForm):
    tool = forms.CharField(
        label="Tool",
        max_length=200,
        help_text="Such as crm.delete_customer, or crm.* for a whole server.",
    )
    reason = forms.CharField(max_length=LONGEST)
