"""Forms of what waits for people: they only read and check input."""

import json
from typing import Any

from django import forms

from gateway.models import ToolCall
from policy.forms import TollgateForm

_LONGEST_VALUE = 200_000
_REASON = "An auditor reads it beside your name."


class ReasonForm(TollgateForm):
    """The reason that each decision needs; the service refuses an empty one."""

    reason = forms.CharField(
        max_length=400,
        required=False,
        help_text=_REASON,
        widget=forms.TextInput(attrs={"autocomplete": "off", "required": True}),
    )


class DecisionForm(ReasonForm):
    """Approve or reject one call."""

    VERDICTS = [("approve", "Approve"), ("reject", "Reject")]

    verdict = forms.ChoiceField(choices=VERDICTS, widget=forms.HiddenInput)

    @property
    def approves(self) -> bool:
        """Whether the call is to be made (of a valid form)."""
        return bool(self.cleaned_data["verdict"] == "approve")


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


class OutcomeForm(ReasonForm):
    """What became of a call, and what it returned where it happened."""

    field_order = ["resolution", "value", "reason"]

    resolution = forms.ChoiceField(
        label="What became of it?",
        choices=ToolCall.Resolution.choices,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )
    value = forms.CharField(
        required=False,
        strip=False,
        max_length=_LONGEST_VALUE,
        label="What the tool returned",
        help_text="JSON; the script is given it as the call's result. Only where it "
        "happened; empty stands for null.",
        widget=forms.Textarea(
            attrs={"rows": 3, "spellcheck": "false", "class": "form-control tg-mono"}
        ),
    )

    @property
    def choices(self) -> list[tuple[str, str, str]]:
        """Each verdict with what follows from it."""
        follows = {
            ToolCall.Resolution.HAPPENED: "the script is given the value below",
            ToolCall.Resolution.DID_NOT: "the call is made once more",
            ToolCall.Resolution.ABANDON: "the run ends as failed",
        }
        return [
            (value, str(label), follows[ToolCall.Resolution(value)])
            for value, label in ToolCall.Resolution.choices
        ]

    def clean_value(self) -> Any:
        text = str(self.cleaned_data["value"])
        if not text.strip():
            return None
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(
                f"This is no JSON ({error}): write text in double quotes, such as "
                '"order-17", or {"id": 17}.'
            ) from error

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        other = values.get("resolution") not in {ToolCall.Resolution.HAPPENED, None}
        if other and values.get("value") is not None:
            self.add_error(
                "value", "Only a call that happened has a value: empty this field."
            )
        return values
