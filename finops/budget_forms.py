"""What people may send about budgets; forms only validate."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings

from core.forms import TollgateForm
from finops.budgeting.windows import Calendar
from finops.models import Budget
from finops.services.budget_changes import MOST, Scope, Terms
from policy.models import ApiKey, NotificationChannel, Project, Team

SCOPES = (
    ("organization", "Organization"),
    ("team", "Team"),
    ("project", "Project"),
    ("key", "Key"),
    ("model", "Model"),
)
STATES = (
    ("pressing", "Needs a look"),
    ("stopped", "Stopped"),
    ("over", "Over"),
    ("near", "Near"),
    ("ok", "Has room"),
    ("paused", "Paused"),
    ("idle", "No window now"),
    ("removed", "Removed"),
)
_MONTH, _ONCE, _DAYS, _WEEKS = "month", "once", "days", "weeks"
_PERIODS = (
    (_MONTH, "Each calendar month"),
    (_ONCE, "Once, from the first to the last day"),
    (_DAYS, "Every so many days, from the first day on"),
    (_WEEKS, "Every so many weeks, from the first day on"),
)


def _amount(label: str, *, required: bool = False, help_text: str = "") -> Any:
    return forms.DecimalField(
        label=label,
        min_value=Decimal(0),
        max_value=MOST,
        max_digits=28,
        decimal_places=12,
        required=required,
        help_text=help_text,
    )


def _day(label: str, help_text: str = "") -> Any:
    return forms.DateField(
        label=label,
        required=False,
        help_text=help_text,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )


class TermsForm(TollgateForm):
    """What a budget allows, and who is told."""

    name = forms.CharField(max_length=100)
    amount = _amount("Amount", required=True)
    hard = forms.BooleanField(
        label="Hard stop",
        required=False,
        help_text="Refuse runs and calls that would pass it, before they start.",
    )
    thresholds = forms.CharField(
        label="Tell at (per cent)",
        max_length=60,
        required=False,
        initial="50, 80, 100",
        help_text="Each is told once in a window.",
    )
    grace_amount = _amount("Grace", help_text="With a hard stop: so much more is let.")
    grace_percent = forms.DecimalField(
        label="Grace in per cent",
        min_value=Decimal(0),
        max_value=Decimal(1000),
        decimal_places=2,
        required=False,
        help_text="Of the amount, instead of the grace above.",
    )
    grace_until = _day("Grace until", "The last day of the grace; empty for always.")
    reserve = _amount(
        "A run reserves",
        help_text="Empty: what 95 of 100 recent runs cost at most.",
    )
    channels = forms.ModelMultipleChoiceField(
        NotificationChannel.objects.none(),
        label="Also tell",
        required=False,
        help_text="Channels that are told of budgets are told anyway.",
    )
    reason = forms.CharField(max_length=400, help_text="Kept in the audit trail.")
    field_order = (
        "name",
        "amount",
        "team",
        "project",
        "key",
        "model",
        "period",
        "first_day",
        "last_day",
        "every",
        "hard",
        "grace_amount",
        "grace_percent",
        "grace_until",
        "thresholds",
        "reserve",
        "channels",
        "reason",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        channels = NotificationChannel.objects.order_by("name", "pk")
        self.fields["channels"].queryset = channels  # type: ignore[attr-defined]
        self.fields["amount"].label = f"Amount in {settings.CURRENCY}"

    def clean_thresholds(self) -> tuple[int, ...]:
        words = self.cleaned_data["thresholds"].replace(",", " ").replace("%", " ")
        try:
            return tuple(int(word) for word in words.split())
        except ValueError:
            raise forms.ValidationError(
                "Write whole per cents, such as 50, 80, 100."
            ) from None

    def terms(self, of: Budget | None = None) -> Terms:
        """The terms asked for; ``of`` keeps its days, and rests on if it does."""
        data = self.cleaned_data
        first, last, every = (
            _days_of(data)
            if of is None
            else (
                of.first_day,
                of.last_day,
                of.every_days,
            )
        )
        return Terms(
            name=data["name"],
            amount=data["amount"],
            first_day=first,
            last_day=last,
            every_days=every,
            thresholds=data["thresholds"],
            hard=data["hard"],
            paused=of is not None and of.paused,
            grace_amount=data["grace_amount"],
            grace_percent=data["grace_percent"],
            grace_until=_end_of(data["grace_until"]),
            reserve=data["reserve"],
            channels=tuple(data["channels"]),
        )


class BudgetForm(TermsForm):
    """A new budget: its terms, whose cost counts, and when."""

    team = forms.ModelChoiceField(
        Team.objects.none(),
        required=False,
        to_field_name="slug",
        empty_label="Every team",
    )
    project = forms.CharField(
        max_length=81,
        required=False,
        help_text="As team/project, such as sales/default; empty for every project.",
    )
    key = forms.CharField(
        max_length=12,
        required=False,
        help_text="A key's prefix, such as tg_4kx8m2qp; empty for every key.",
    )
    model = forms.CharField(
        max_length=100,
        required=False,
        help_text="As runs name it; empty for every model.",
    )
    period = forms.ChoiceField(label="Window", choices=_PERIODS, initial=_MONTH)
    first_day = _day("First day")
    last_day = _day("Last day")
    every = forms.IntegerField(
        label="Repeat after", min_value=1, max_value=1830, required=False
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = Team.objects.order_by("name")  # type: ignore[attr-defined]
        zone = settings.REPORT_TIME_ZONE
        self.fields["period"].help_text = f"Days begin at midnight in {zone}."

    def clean_project(self) -> Project | None:
        text = self.cleaned_data["project"].strip()
        if not text:
            return None
        team, _, slug = text.rpartition("/")
        found = Project.objects.select_related("team").filter(slug=slug)
        project = found.filter(team__slug=team).first()
        if project is None:
            raise forms.ValidationError(f"There is no project {text}: team/project.")
        return project

    def clean_key(self) -> ApiKey | None:
        prefix = self.cleaned_data["key"].rstrip("…")
        if not prefix:
            return None
        keys = ApiKey.objects.select_related("service_account__team")
        found = keys.filter(prefix=prefix).first()
        if found is None:
            raise forms.ValidationError(
                f"There is no key {prefix}: prefixes are under Settings, Keys."
            )
        return found

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("period") in (_DAYS, _WEEKS) and not data.get("every"):
            self.add_error("every", "After how many days or weeks does it repeat?")
        if data.get("period") != _MONTH and not data.get("first_day"):
            self.add_error("first_day", "Give the first day of its first window.")
        return data

    @property
    def scope(self) -> Scope:
        """Whose cost counts."""
        data = self.cleaned_data
        return Scope(
            team=data["team"],
            project=data["project"],
            key=data["key"],
            model=data["model"].strip(),
        )


class ReasonForm(TollgateForm):
    """Why a budget goes, rests, or holds again."""

    reason = forms.CharField(max_length=400, help_text="Kept in the audit trail.")


def initial_of(budget: Budget) -> dict[str, Any]:
    """The terms of a budget as its form shows them."""
    until = budget.grace_until
    return {
        "name": budget.name,
        "amount": _short(budget.amount),
        "hard": budget.hard,
        "thresholds": ", ".join(map(str, budget.thresholds)),
        "grace_amount": _short(budget.grace_amount),
        "grace_percent": _short(budget.grace_percent),
        "grace_until": until and _last_day(settings.REPORT_TIME_ZONE, until),
        "reserve": _short(budget.reserve),
        "channels": [channel.pk for channel in budget.channels.all()],
    }


def _short(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount.normalize():f}"


def _days_of(data: dict[str, Any]) -> tuple[date | None, date | None, int | None]:
    period, every = data["period"], data["every"]
    if period == _MONTH:
        return None, None, None
    if period == _ONCE:
        return data["first_day"], data["last_day"], None
    length = every * 7 if period == _WEEKS else every
    return data["first_day"], data["last_day"], length


def _end_of(day: date | None) -> datetime | None:
    """The midnight after a local day."""
    if day is None:
        return None
    window = Calendar(settings.REPORT_TIME_ZONE, day, day).on(day)
    return window.end if window else None


def _last_day(zone: str, until: datetime) -> date:
    """The local day that ends at this midnight."""
    return (until - timedelta(microseconds=1)).astimezone(ZoneInfo(zone)).date()
