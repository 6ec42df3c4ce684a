"""Filters of the audit explorer, the same for pages, exports and the REST API."""

import shlex
from collections.abc import Callable
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import django_filters
from django import forms
from django.conf import settings
from django.db.models import Q, QuerySet

from audit.models import Event
from core.clock import now
from core.period import PRESETS

ALL_TIME = "all"
DEFAULT_PERIOD = "7d"
PERIODS = (*((name, name) for name in PRESETS), (ALL_TIME, "all time"))
DECISIONS = (("allow", "Allowed"), ("deny", "Denied"))


def by_actor(value: str) -> Q:
    """An actor's exact id, such as ``user:alice``, or a part of the name."""
    return Q(actor_id=value) | Q(actor_label__icontains=value)


def _exact_or_start(field: str) -> Callable[[str], Q]:
    def condition(value: str) -> Q:
        if value.endswith("*"):
            return Q(**{f"{field}__startswith": value[:-1]})
        return Q(**{field: value})

    return condition


_QUALIFIERS: dict[str, Callable[[str], Q]] = {
    "actor": by_actor,
    "team": _exact_or_start("team"),
    "environment": _exact_or_start("environment"),
    "tool": _exact_or_start("tool"),
    "name": _exact_or_start("name"),
    "decision": _exact_or_start("decision"),
    "run": _exact_or_start("run"),
    "request": _exact_or_start("request_id"),
    "target": lambda value: Q(target_id=value) | Q(target_label__icontains=value),
}


def matching(text: str) -> Q:
    """The condition a text query stands for.

    Words must all occur in the summary; ``actor:alice`` asks a column, ``-actor:alice``
    excludes, a trailing ``*`` matches the start, quotes keep words together.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    condition = Q()
    for word in words:
        without = word.removeprefix("-")
        name, colon, value = without.partition(":")
        if colon and value and name in _QUALIFIERS:
            one = _QUALIFIERS[name](value)
        else:
            one = Q(summary__icontains=without) | Q(uid=without)
        condition &= ~one if word.startswith("-") and without else one
    return condition


class EventFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Events by period, people, things and words."""

    q = django_filters.CharFilter(method="by_text", label="Search")
    period = django_filters.ChoiceFilter(
        choices=PERIODS, method="by_period", label="Period"
    )
    first = django_filters.DateFilter(method="from_day", label="From")
    last = django_filters.DateFilter(method="to_day", label="To")
    name = django_filters.CharFilter(method="by_column", label="Event")
    decision = django_filters.ChoiceFilter(choices=DECISIONS, label="Decision")
    actor = django_filters.CharFilter(method="by_column", label="Actor")
    team = django_filters.CharFilter(label="Team")
    tool = django_filters.CharFilter(method="by_column", label="Tool")
    run = django_filters.CharFilter(label="Run")
    request = django_filters.CharFilter(field_name="request_id", label="Request")
    target_kind = django_filters.CharFilter(label="Kind of target")
    target = django_filters.CharFilter(field_name="target_id", label="Target")

    class Meta:
        model = Event
        fields: tuple[str, ...] = ()

    def by_text(
        self, events: QuerySet[Event], name: str, value: str
    ) -> QuerySet[Event]:
        return events.filter(matching(value.replace("\x00", "")))

    def by_column(
        self, events: QuerySet[Event], name: str, value: str
    ) -> QuerySet[Event]:
        return events.filter(_QUALIFIERS[name](value))

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

    @property
    def problems(self) -> list[str]:
        """What of the address could not be understood, in words."""
        form: forms.Form = self.form
        return [
            f"{form.fields[name].label}: {' '.join(map(str, errors))}"
            for name, errors in form.errors.items()
            if name in form.fields
        ]


def _start_of(day: datetime) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(settings.REPORT_TIME_ZONE))
