"""Forms of the cost pages: filters of a report, and a price."""

import math
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings

from audit.web import Rights
from core.period import MONTHS, PRESETS, Period, asked_for, custom
from finops.selectors.breakdown import DIMENSIONS
from finops.selectors.headline import DIMENSIONS as HEADLINE_DIMENSIONS
from finops.selectors.scope import Scope
from policy.access import COSTS_READ
from policy.models import Environment, Project, Team

Choices = list[tuple[str, str]]
_MODES = [("", "All"), ("script", "Scripts"), ("direct", "Direct calls")]


def _day() -> forms.DateInput:
    return forms.DateInput(
        attrs={"type": "date", "class": "form-control"}, format="%Y-%m-%d"
    )


def _text(placeholder: str) -> forms.TextInput:
    return forms.TextInput(
        attrs={
            "class": "form-control",
            "placeholder": placeholder,
            "autocomplete": "off",
        }
    )


def _select() -> forms.Select:
    return forms.Select(attrs={"class": "form-select"})


class PeriodFilter(forms.Form):
    """A period, and filters within what the person may see. Dates win over a preset.

    Fields in ``kept_hidden`` are set by links and stay as they are.
    """

    default_period = "7d"
    kept_hidden: tuple[str, ...] = ("period",)

    period = forms.ChoiceField(
        choices=[(name, name) for name in (*PRESETS, *MONTHS, "custom")], required=False
    )
    first = forms.DateField(widget=_day(), required=False, label="From")
    last = forms.DateField(widget=_day(), required=False, label="To")
    team = forms.CharField(max_length=40, required=False, label="Team")
    project = forms.CharField(max_length=81, required=False, label="Project")
    environment = forms.CharField(max_length=40, required=False, label="Environment")
    mode = forms.ChoiceField(
        choices=_MODES, widget=_select(), required=False, label="Kind of run"
    )

    def __init__(
        self, data: Any, *, access: Rights, zone: str, capability: str = COSTS_READ
    ):
        super().__init__(data, auto_id="filter_%s")
        self.zone = zone
        self.teams = access.teams_for(capability)
        self.team_choices = self._teams()
        for name in self.kept_hidden:
            self.fields[name].widget = forms.HiddenInput()
        for name, choices in (
            ("team", self.team_choices),
            ("project", self._projects()),
            ("environment", self._environments()),
        ):
            # The ledger outlives its teams: a value that is in no list any more
            # stays a filter. What may be seen is bounded by the scope, not here.
            chosen = str(data.get(name, ""))
            gone = chosen and chosen not in dict(choices)
            more = [(chosen, chosen)] if gone else []
            self.fields[name].widget = forms.Select(
                attrs={"class": "form-select"},
                choices=[("", "All"), *choices, *more],
            )

    def _teams(self) -> Choices:
        found = Team.objects.order_by("name", "pk")
        if self.teams is not None:
            found = found.filter(slug__in=self.teams)
        return list(found.values_list("slug", "name"))

    def _projects(self) -> Choices:
        found = Project.objects.order_by("team__name", "name", "pk")
        if self.teams is not None:
            found = found.filter(team__slug__in=self.teams)
        return [
            (f"{team}/{slug}", f"{team_name}: {name}")
            for team, slug, team_name, name in found.values_list(
                "team__slug", "slug", "team__name", "name"
            )
        ]

    def _environments(self) -> Choices:
        found = Environment.objects.order_by("position", "pk")
        return list(found.values_list("slug", "name"))

    @property
    def scope(self) -> Scope:
        """The rows to count (of a valid form)."""
        chosen = {
            name: self.cleaned_data.get(name, "")
            for name in Scope.__dataclass_fields__
            if name != "teams"
        }
        return Scope(teams=self.teams, **chosen)

    def window(self, *, at: datetime) -> Period:
        """The period (of a valid form). Raises Invalid."""
        return asked_for(
            first=self.cleaned_data.get("first"),
            last=self.cleaned_data.get("last"),
            name=self.preset,
            zone=self.zone,
            at=at,
        )

    @property
    def preset(self) -> str:
        """The preset in force; "" with dates of one's own."""
        values = self.cleaned_data
        if values.get("first") or values.get("last"):
            return ""
        name: str = values.get("period") or self.default_period
        return self.default_period if name == "custom" else name


class ComparedFilter(PeriodFilter):
    """A period that is compared with the one before it, or with days of one's own."""

    against_first = forms.DateField(widget=_day(), required=False, label="Compare from")
    against_last = forms.DateField(widget=_day(), required=False, label="Compare to")

    field_order = ("period", "first", "last", "against_first", "against_last")

    def against(self, period: Period) -> Period:
        """The window to compare with (of a valid form). Raises Invalid.

        Of one day alone, it is as long as the period.
        """
        first: date | None = self.cleaned_data.get("against_first")
        last: date | None = self.cleaned_data.get("against_last")
        # A day may have 25 hours, and one that is not over counts as a day.
        more = timedelta(days=max(1, math.ceil(period.days - 0.1)) - 1)
        if first:
            return custom(first, last or first + more, zone=self.zone)
        if last:
            return custom(last - more, last, zone=self.zone)
        return period.previous


class ReportFilter(ComparedFilter):
    """What a cost report counts, and by what."""

    default_period = "30d"
    kept_hidden: tuple[str, ...] = (
        "period",
        "by",
        "cost_centre",
        "principal",
        "server",
        "token_kind",
        "language",
        "sku",
    )

    tool = forms.CharField(
        max_length=200, widget=_text("server.tool"), required=False, label="Tool"
    )
    model = forms.CharField(
        max_length=100, widget=_text("name"), required=False, label="Model"
    )
    cost_centre = forms.CharField(max_length=40, required=False)
    principal = forms.CharField(max_length=120, required=False)
    server = forms.CharField(max_length=60, required=False)
    token_kind = forms.CharField(max_length=12, required=False)
    language = forms.CharField(max_length=20, required=False)
    sku = forms.CharField(max_length=200, required=False)
    by = forms.ChoiceField(
        choices=[(name, name) for name in DIMENSIONS], required=False
    )

    @property
    def dimension(self) -> str:
        """What to group by; teams for those who see several."""
        return self.cleaned_data.get("by") or "team"


class HeadlineFilter(ReportFilter):
    """As a cost report, over seven days, whole or by what runs stand in."""

    default_period = "7d"
    token_kind = sku = None  # type: ignore[assignment]
    kept_hidden = ("period", "by", "cost_centre", "principal", "server", "language")

    by = forms.ChoiceField(
        choices=[(name, name) for name in HEADLINE_DIMENSIONS], required=False
    )

    @property
    def dimension(self) -> str:
        """What to group by; "" for the whole alone."""
        return self.cleaned_data.get("by") or ""


class ModesFilter(PeriodFilter):
    """What kinds of run and models are held against each other over."""

    default_period = "30d"
    kept_hidden = ("period", "cost_centre", "principal", "server")
    mode = None  # type: ignore[assignment]

    tool = forms.CharField(
        max_length=200, widget=_text("server.tool"), required=False, label="Tool"
    )
    cost_centre = forms.CharField(max_length=40, required=False)
    principal = forms.CharField(max_length=120, required=False)
    server = forms.CharField(max_length=60, required=False)


class MoverFilter(ReportFilter):
    """As a report, over the last seven days; days are no groups of a change."""

    default_period = "7d"

    @property
    def dimension(self) -> str:
        """What to group by."""
        chosen = super().dimension
        return "team" if chosen == "day" else chosen


class PriceForm(forms.Form):
    """A new price of a SKU, from a day on, with its reason."""

    sku = forms.CharField(
        max_length=200,
        label="SKU",
        widget=_text("tool/crm.*"),
        help_text="Area and name. A * at the end stands for anything.",
    )
    unit = forms.CharField(
        max_length=60,
        widget=_text("Tokens"),
        help_text="Tokens, Requests, Seconds, GB-Seconds or Months; of a tool also the "
        "path of an array or number, such as arguments.items or result.rows.",
    )
    amount = forms.DecimalField(
        min_value=0,
        max_digits=28,
        decimal_places=12,
        label="Price of one unit",
        widget=forms.TextInput(attrs={"class": "form-control", "inputmode": "decimal"}),
    )
    currency = forms.CharField(
        max_length=3,
        required=False,
        widget=_text("USD"),
        help_text="Empty is the organization's own. Others are converted by the "
        "month's exchange rate as usage is booked.",
    )
    valid_from = forms.DateField(widget=_day(), label="Valid from the start of")
    reason = forms.CharField(
        min_length=3,
        max_length=300,
        widget=_text("Contract 2026-117"),
        help_text="Kept in the audit trail.",
    )

    def starts_at(self) -> datetime:
        """The beginning of the chosen day in the report's zone (of a valid form)."""
        day: date = self.cleaned_data["valid_from"]
        return datetime.combine(day, time(), ZoneInfo(settings.REPORT_TIME_ZONE))


class RateForm(forms.Form):
    """What a currency is worth during a month, with the reason."""

    month = forms.DateField(
        input_formats=["%Y-%m"],
        widget=forms.DateInput(
            attrs={"type": "month", "class": "form-control"}, format="%Y-%m"
        ),
    )
    currency = forms.CharField(
        min_length=3, max_length=3, widget=_text("EUR"), help_text="Its code."
    )
    rate = forms.DecimalField(
        max_digits=28,
        decimal_places=12,
        label="One unit is worth",
        widget=forms.TextInput(attrs={"class": "form-control", "inputmode": "decimal"}),
    )
    source = forms.CharField(
        max_length=100,
        required=False,
        widget=_text("ECB, monthly average"),
        help_text="Where the rate is from.",
    )
    reason = forms.CharField(
        min_length=3,
        max_length=300,
        widget=_text("Month-end close"),
        help_text="Kept in the audit trail.",
    )
