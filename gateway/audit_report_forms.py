"""Filters of the auditor's reports: a period, and what each one can be narrowed by."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import forms
from django.conf import settings

from audit.web import Rights
from core.period import MONTHS, PRESETS, Period, asked_for
from gateway.filters import environment_choices, team_choices
from gateway.selectors.audit_reports.parts import Asked, Filter, Report

DEFAULT_PERIOD = "30d"
_PERIODS = [(name, name) for name in (*PRESETS, *MONTHS)]
_LISTS = {"team": team_choices, "environment": environment_choices}


def _day() -> forms.DateInput:
    attrs = {"type": "date", "class": "form-control"}
    return forms.DateInput(attrs=attrs, format="%Y-%m-%d")


class ReportForm(forms.Form):
    """What a report is asked for. Dates win over the period's name."""

    def __init__(self, data: Mapping[str, Any], *, report: Report):
        super().__init__(data, auto_id="filter_%s")
        self.report = report
        self.zone: str = settings.REPORT_TIME_ZONE
        if report.dated:
            self.fields["period"] = forms.ChoiceField(
                choices=_PERIODS, required=False, widget=forms.HiddenInput()
            )
            for name, label in (("first", "From"), ("last", "To")):
                self.fields[name] = forms.DateField(
                    required=False, label=label, widget=_day()
                )
        for one in report.filters:
            self.fields[one.name] = _field(one, str(data.get(one.name, "")))

    def asked(self, *, rights: Rights, at: datetime) -> Asked:
        """What is asked for (of a valid form). Raises Invalid."""
        values = self.cleaned_data
        return Asked(
            rights=rights,
            at=at,
            period=self._window(at) if self.report.dated else None,
            filters={
                one.name: values[one.name]
                for one in self.report.filters
                if values.get(one.name)
            },
        )

    def _window(self, at: datetime) -> Period:
        return asked_for(
            first=self.cleaned_data.get("first"),
            last=self.cleaned_data.get("last"),
            name=self.preset,
            zone=self.zone,
            at=at,
        )

    @property
    def preset(self) -> str:
        """The named period in force; "" with dates of one's own."""
        values = self.cleaned_data
        if values.get("first") or values.get("last"):
            return ""
        return values.get("period") or DEFAULT_PERIOD

    @property
    def labels(self) -> dict[str, str]:
        """What chips and the printed report call each filter."""
        return {one.name: one.label for one in self.report.filters}

    @property
    def problems(self) -> list[str]:
        """What of the address could not be understood, in words."""
        return [
            f"{self.fields[name].label or name}: {' '.join(map(str, said))}"
            for name, said in self.errors.items()
            if name in self.fields
        ]


def _field(one: Filter, chosen: str) -> forms.Field:
    if one.choices is not None:
        return forms.ChoiceField(
            choices=[("", "Any"), *one.choices()],
            required=False,
            label=one.label,
            widget=forms.Select(attrs={"class": "form-select"}),
        )
    attrs = {"class": "form-control", "placeholder": one.hint, "autocomplete": "off"}
    widget: forms.Widget = forms.TextInput(attrs={"type": "search", **attrs})
    if one.name in _LISTS:
        # The trail outlives teams: a name that is in no list any more stays a filter.
        known = _LISTS[one.name]()
        gone = chosen and chosen not in dict(known)
        more = [(chosen, chosen)] if gone else []
        widget = forms.Select(
            attrs={"class": "form-select"}, choices=[("", "Any"), *known, *more]
        )
    return forms.CharField(
        max_length=200, required=False, label=one.label, widget=widget
    )
