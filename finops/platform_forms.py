"""Forms of the platform's fixed costs."""

from django import forms

from core.forms import TollgateForm
from finops.services.platform_costs import KINDS


def _month() -> forms.DateInput:
    return forms.DateInput(attrs={"type": "month"}, format="%Y-%m")


class PlatformCostForm(TollgateForm):
    """What a fixed cost comes to a month, from a month on."""

    kind = forms.ChoiceField(choices=[(kind, kind) for kind in KINDS])
    name = forms.CharField(max_length=80, help_text="Such as gateway-licence.")
    amount = forms.DecimalField(
        min_value=0,
        max_digits=28,
        decimal_places=12,
        label="Amount a month",
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
    )
    currency = forms.CharField(min_length=3, max_length=3)
    first = forms.DateField(
        input_formats=["%Y-%m"], widget=_month(), label="First month"
    )
    reason = forms.CharField(
        min_length=3, max_length=300, help_text="Kept in the audit trail."
    )


class PlatformEndForm(TollgateForm):
    """The last month that a fixed cost counts in."""

    last = forms.DateField(input_formats=["%Y-%m"], widget=_month(), label="Last month")
    reason = forms.CharField(min_length=3, max_length=300)
