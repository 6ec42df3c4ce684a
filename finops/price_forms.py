"""Forms that bring prices into the book."""

from typing import Any

from django import forms
from django.conf import settings

from core.errors import Invalid
from core.forms import TollgateForm
from core.period import Period, custom
from finops.price_csv import parse
from finops.price_plan import Line
from finops.public_prices import SOURCE, provider_ids, published
from finops.services.prices import digest_of, preview


class PriceImport(TollgateForm):
    """Prices from a CSV file, its text, or providers' public prices."""

    file = forms.FileField(label="CSV file", required=False, max_length=200)
    text = forms.CharField(
        label="Or its text",
        required=False,
        max_length=2_000_000,
        widget=forms.Textarea(
            attrs={"rows": 6, "spellcheck": "false", "class": "form-control tg-mono"}
        ),
        help_text="sku, unit, amount, valid_from; and, where wanted, currency, "
        "valid_to, daily_from, daily_to (UTC), source.",
    )
    provider = forms.MultipleChoiceField(
        label="Or public prices of",
        required=False,
        choices=lambda: [(name, name) for name in provider_ids()],
        help_text=f"From {SOURCE}, in USD a token, converted as usage is booked.",
    )
    digest = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput())
    reason = forms.CharField(
        required=False,
        max_length=300,
        help_text="Kept in the audit trail. Not needed to look at the difference.",
    )

    def clean(self) -> dict[str, Any]:
        """Reads the lines. Their mistakes are the form's."""
        values = super().clean() or self.cleaned_data
        given = values.get("file")
        if given:
            try:
                values["text"] = given.read().decode("utf-8")
            except UnicodeDecodeError:
                raise forms.ValidationError("The file is not text in UTF-8.") from None
        text, providers = values.get("text"), values.get("provider")
        if bool(text) == bool(providers):
            raise forms.ValidationError("Give a file, its text, or providers.")
        try:
            values["lines"] = self._lines(text or "", providers or [])
        except Invalid as error:
            raise forms.ValidationError(
                error.details.get("mistakes") or error.message
            ) from None
        return values

    @property
    def source(self) -> str:
        return "CSV" if self.cleaned_data["text"] else SOURCE

    def again(self) -> "PriceImport":
        """The same input as a form that names the plan it was looked at as."""
        values = self.cleaned_data
        shown = preview(values["lines"])
        form = PriceImport(
            initial={
                "text": values["text"],
                "provider": values["provider"],
                "digest": digest_of(shown),
            }
        )
        for name in ("text", "provider"):
            hidden = forms.MultipleHiddenInput if name == "provider" else None
            form.fields[name].widget = (hidden or forms.HiddenInput)()
        del form.fields["file"]
        form.fields["reason"].required = True
        return form

    def _lines(self, text: str, providers: list[str]) -> list[Line]:
        if not text:
            return published(providers)
        zone = settings.REPORT_TIME_ZONE
        return parse(text, currency=settings.CURRENCY, zone=zone)


class WhatIf(PriceImport):
    """A period, and prices to suppose for it."""

    first = forms.DateField(
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), label="From"
    )
    last = forms.DateField(
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), label="To"
    )
    field_order = ("first", "last", "file", "text", "provider")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["digest"], self.fields["reason"]

    def period(self) -> Period:
        """The days (of a valid form). Raises Invalid."""
        values = self.cleaned_data
        zone = settings.REPORT_TIME_ZONE
        return custom(values["first"], values["last"], zone=zone)
