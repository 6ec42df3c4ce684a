"""Forms of cost centres, allocation rules, adjustments and disputes."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from core.errors import Invalid
from core.forms import TollgateForm
from finops.chargeback.allocation import Receiver, Rule
from finops.chargeback.months import named
from finops.models import AllocationVersion, CostCentre

_MONTH = forms.TextInput(attrs={"placeholder": "2026-11", "inputmode": "numeric"})


def _reason(help_text: str = "Kept in the audit trail.") -> forms.CharField:
    return forms.CharField(max_length=400, help_text=help_text)


class MonthField(forms.CharField):
    """A month such as ``2026-11``, as its first day."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return named(text) if text else None
        except Invalid as error:
            raise forms.ValidationError(error.message) from error


class CloseForm(TollgateForm):
    """The reason that closing over something open needs."""

    reason = forms.CharField(
        required=False,
        max_length=400,
        help_text="Needed with open disputes or usage without a price. It is kept.",
    )


class CentreForm(TollgateForm):
    """A cost centre."""

    slug = forms.CharField(
        max_length=40,
        label="Code",
        help_text="As teams name it in their settings.",
    )
    name = forms.CharField(max_length=100)
    owner = forms.CharField(
        max_length=150,
        required=False,
        help_text="A username. They see, dispute and accept its statements.",
    )
    charged = forms.BooleanField(
        required=False, help_text="Without it, statements are showback: nobody pays."
    )
    reason = _reason()


class RuleForm(TollgateForm):
    """A version of an allocation rule."""

    slug = forms.SlugField(max_length=40, label="Short name")
    name = forms.CharField(max_length=100)
    position = forms.IntegerField(
        min_value=1,
        max_value=1000,
        initial=10,
        help_text="Rules are tried in this order; the first that takes a cost holds.",
    )
    source = forms.ChoiceField(
        choices=AllocationVersion.Source.choices, label="Shared costs"
    )
    sku = forms.CharField(
        max_length=200,
        required=False,
        label="SKU",
        help_text="tool/crm.* for all that begins so; of platform costs the name.",
    )
    team = forms.CharField(
        max_length=40, required=False, help_text="Only what this team caused."
    )
    method = forms.ChoiceField(choices=AllocationVersion.Method.choices, label="Split")
    driver = forms.ChoiceField(
        choices=[("", "–"), *AllocationVersion.Driver.choices],
        required=False,
        help_text="What each has of it in the month; only in proportion.",
    )
    receivers = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text="One cost centre a line, then its percentage or weight: CC-100 40. "
        "Empty: every cost centre.",
    )
    valid_from = MonthField(
        label="Holds from", widget=_MONTH, help_text="A month that is not closed."
    )
    active = forms.BooleanField(
        required=False, initial=True, help_text="Without it the rule ends."
    )
    reason = _reason("Kept in the audit trail. Not needed to try the rule.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "try" in self.data:
            self.fields["reason"].required = False

    def clean_receivers(self) -> tuple[Receiver, ...]:
        return tuple(_receivers(self.cleaned_data["receivers"].splitlines()))

    def rule(self) -> Rule:
        """What it says (of a valid form)."""
        values = self.cleaned_data
        return Rule(
            slug=values["slug"],
            version=0,
            source=values["source"],
            sku=values["sku"],
            team=values["team"],
            method=values["method"],
            driver=values["driver"],
            receivers=values["receivers"],
        )


def _receivers(lines: Sequence[str]) -> Any:
    for line in lines:
        if not line.strip():
            continue
        centre, _, weight = line.strip().rpartition(" ")
        if not centre:
            centre, weight = weight, "0"
        try:
            yield Receiver(centre.strip(), Decimal(weight.replace("%", "")))
        except InvalidOperation as error:
            raise forms.ValidationError(
                f"{line.strip()!r}: write a cost centre, a space and a number."
            ) from error


class AdjustForm(TollgateForm):
    """A credit or adjustment of an open month."""

    month = MonthField(label="On the statement of", widget=_MONTH)
    centre = forms.ModelChoiceField(
        CostCentre.objects.order_by("slug"),
        to_field_name="slug",
        label="Cost centre",
    )
    kind = forms.ChoiceField(
        choices=[("credit", "Credit"), ("adjustment", "Adjustment")]
    )
    amount = forms.DecimalField(
        max_digits=16, help_text="A credit is below 0, such as -12.50."
    )
    charge_month = MonthField(
        label="For the month", required=False, widget=_MONTH, help_text="If earlier."
    )
    reason = _reason("It stands on the statement.")


class ReasonForm(TollgateForm):
    """Why."""

    reason = _reason()


class DisputeForm(TollgateForm):
    """What is wrong with a line."""

    reason = forms.CharField(
        max_length=2000,
        label="What is wrong",
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    runs = forms.CharField(
        required=False,
        max_length=1000,
        label="Runs",
        help_text="Ids of runs that show it, with spaces between.",
    )


class CommentForm(TollgateForm):
    """Something to say in a dispute."""

    text = forms.CharField(
        max_length=2000, label="Comment", widget=forms.Textarea(attrs={"rows": 3})
    )
    runs = forms.CharField(
        required=False,
        max_length=1000,
        label="Runs",
        help_text="Ids of runs, with spaces between.",
    )


class ResolveForm(TollgateForm):
    """How a dispute ends."""

    outcome = forms.ChoiceField(
        choices=[
            ("rejected", "Reject it: the line stands"),
            ("credited", "Credit an amount"),
            ("adjusted", "Adjust by an amount"),
        ]
    )
    amount = forms.DecimalField(
        required=False,
        max_digits=16,
        help_text="A credit as what is credited; an adjustment with its sign.",
    )
    reason = _reason("It stands on the statement, and in the audit trail.")
