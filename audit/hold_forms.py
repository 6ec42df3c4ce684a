"""Forms of legal holds; they only read input."""

from datetime import date
from typing import Any

from django import forms

from core.forms import TollgateForm

_WHY = "It stands in the audit trail beside your name."


class MonthField(forms.DateField):
    """A month as browsers send it, such as 2026-03."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateInput(attrs={"type": "month"}, format="%Y-%m")
        super().__init__(input_formats=["%Y-%m"], widget=widget, **options)

    def to_python(self, value: Any) -> date | None:
        try:
            return super().to_python(value)
        except forms.ValidationError:
            raise forms.ValidationError("Write a month as 2026-03.") from None


class HoldForm(TollgateForm):
    """A new hold."""

    title = forms.CharField(
        label="Name", max_length=100, help_text="Such as the number of a case."
    )
    first = MonthField(label="First month")
    last = MonthField(
        label="Last month",
        required=False,
        help_text="Empty: from the first month on, without an end.",
    )
    reason = forms.CharField(max_length=400, help_text=_WHY)


class LiftForm(TollgateForm):
    """Why a hold is lifted."""

    reason = forms.CharField(max_length=400, help_text=_WHY)
