"""The form that prices booked usage anew."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.conf import settings

from core.forms import TollgateForm
from core.period import custom
from finops.services.rerating import Wanted


def _day() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


class RerateForm(TollgateForm):
    """Days, in the report's zone, and which SKUs."""

    first = forms.DateField(widget=_day(), label="From")
    last = forms.DateField(widget=_day(), label="To")
    sku = forms.CharField(
        max_length=200,
        required=False,
        label="SKU",
        help_text="Empty for all. A * at the end stands for anything.",
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        first: date | None = values.get("first")
        last: date | None = values.get("last")
        if first and last and not timedelta(0) <= last - first <= timedelta(days=366):
            raise forms.ValidationError("Choose up to a year, the first day first.")
        return values

    def wanted(self) -> Wanted:
        """The usage that is meant (of a valid form). Raises Invalid."""
        values = self.cleaned_data
        days = custom(values["first"], values["last"], zone=settings.REPORT_TIME_ZONE)
        return Wanted(days.start, days.end, values["sku"])


class ApplyForm(TollgateForm):
    """The difference that was looked at, and why it is to be booked."""

    digest = forms.CharField(max_length=64, widget=forms.HiddenInput())
    reason = forms.CharField(max_length=300, help_text="Kept in the audit trail.")
