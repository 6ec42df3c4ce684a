"""Filters of the audit explorer, the same for pages, exports and the REST API."""

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import django_filters
from django import forms
from django.conf import settings
from django.db.models import QuerySet

from audit.conditions import by_actor, column, condition, time_of
from audit.models import Event
from audit.query import QueryError, Terms, Value, parse
from core.clock import now
from core.period import PRESETS

ALL_TIME = "all"
DEFAULT_PERIOD = "7d"
PERIODS = (*((name, name) for name in PRESETS), (ALL_TIME, "all time"))
GROUPS = (("run", "run"), ("request", "request"))
# Events written while the page is made are in its last bar.
_MARGIN = timedelta(seconds=1)
DECISIONS = (("allow", "Allowed"), ("deny", "Denied"))


class QueryField(forms.CharField):
    """Text of the query language; gives its terms."""

    def to_python(self, value: Any) -> Any:
        try:
            return parse(str(value or ""))
        except QueryError as error:
            where = f"at character {error.position + 1}"
            raise forms.ValidationError(f"{error.message} ({where})") from error

    def validate(self, value: Any) -> None:
        """Every text that parses is valid."""

    def run_validators(self, value: Any) -> None:
        """None: ``parse`` bounds the length and refuses NUL."""


class QueryFilter(django_filters.Filter):  # type: ignore[misc]
    """Events by a text of the query language."""

    field_class = QueryField


class EventFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Events by period, people, things and words."""

    q = QueryFilter(method="by_terms", label="Search")
    period = django_filters.ChoiceFilter(
        choices=PERIODS, method="by_period", label="Period"
    )
    first = django_filters.DateFilter(method="from_day", label="From")
    last = django_filters.DateFilter(method="to_day", label="To")
    name = django_filters.CharFilter(method="by_column", label="Event")
    decision = django_filters.ChoiceFilter(choices=DECISIONS, label="Decision")
    actor = django_filters.CharFilter(method="by_actor", label="Actor")
    team = django_filters.CharFilter(label="Team")
    tool = django_filters.CharFilter(method="by_column", label="Tool")
    run = django_filters.CharFilter(label="Run")
    request = django_filters.CharFilter(field_name="request_id", label="Request")
    target_kind = django_filters.CharFilter(label="Kind of target")
    target = django_filters.CharFilter(field_name="target_id", label="Target")

    class Meta:
        model = Event
        fields: tuple[str, ...] = ()

    @property
    def terms(self) -> Terms:
        """What ``q`` asks for; nothing if it cannot be understood."""
        return tuple(getattr(self.form, "cleaned_data", {}).get("q") or ())

    def by_terms(
        self, events: QuerySet[Event], name: str, value: Terms
    ) -> QuerySet[Event]:
        return events.filter(condition(value, zone=settings.REPORT_TIME_ZONE, at=now()))

    def by_actor(
        self, events: QuerySet[Event], name: str, value: str
    ) -> QuerySet[Event]:
        return events.filter(by_actor(value))

    def by_column(
        self, events: QuerySet[Event], name: str, value: str
    ) -> QuerySet[Event]:
        return events.filter(column(name, _asked(value)))

    def by_period(
        self, events: QuerySet[Event], name: str, value: str
    ) -> QuerySet[Event]:
        if value == ALL_TIME:
            return events
        return events.filter(at__gte=now() - timedelta(days=PRESETS[value]))

    def from_day(
        self, events: QuerySet[Event], name: str, value: datetime
    ) -> QuerySet[Event]:
        return events.filter(at__gte=_start_of(value))

    def to_day(
        self, events: QuerySet[Event], name: str, value: datetime
    ) -> QuerySet[Event]:
        return events.filter(at__lt=_start_of(value + timedelta(days=1)))

    def window(self, at: datetime) -> tuple[datetime, datetime]:
        """The time in which the found events can be; ``at`` is now."""
        given = getattr(self.form, "cleaned_data", {})
        starts, ends = [], [at + _MARGIN]
        if (period := given.get("period")) and period != ALL_TIME:
            starts.append(at - timedelta(days=PRESETS[period]))
        if given.get("first"):
            starts.append(_start_of(given["first"]))
        if given.get("last"):
            ends.append(_start_of(given["last"] + timedelta(days=1)))
        for one in self.terms:
            if one.qualifier in ("after", "before") and not one.negated:
                limit = time_of(one, zone=settings.REPORT_TIME_ZONE, at=at)
                (starts if one.qualifier == "after" else ends).append(limit)
        end = min(ends)
        if not starts:
            oldest = Event.objects.order_by("at", "pk").values_list("at", flat=True)
            starts.append(oldest.first() or end)
        return min(max(starts), end), end

    @property
    def problems(self) -> list[str]:
        """What of the address could not be understood, in words."""
        form: forms.Form = self.form
        return [
            f"{form.fields[name].label}: {' '.join(map(str, errors))}"
            for name, errors in form.errors.items()
            if name in form.fields
        ]


def _asked(value: str) -> Value:
    return Value(value.removesuffix("*"), prefix=value.endswith("*"))


def _start_of(day: datetime) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(settings.REPORT_TIME_ZONE))
