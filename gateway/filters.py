"""Filters of runs, servers and tools: one set for a page, its export and the API."""

import json
from datetime import date, datetime
from typing import Any

import django_filters as filters
from django import forms
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import QueryDict

from core.clock import now
from core.period import PRESETS, Period, custom, preset
from gateway.models import Run, Server, Tool, ToolCall
from gateway.models.catalog import Effect
from gateway.run_facts import WASTE, ended_within, wasted
from policy.models import Environment, Team

DEFAULT_PERIOD = "7d"
_PERIODS = [
    ("24h", "Last 24 hours"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("90d", "Last 90 days"),
    ("all", "All time"),
    ("custom", "Custom range"),
]


def _day() -> forms.Widget:
    return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")


def search_input(placeholder: str) -> forms.Widget:
    """A text control with an example of what to type."""
    return forms.TextInput(
        attrs={"type": "search", "placeholder": placeholder, "autocomplete": "off"}
    )


def choice_filter(**options: Any) -> filters.ChoiceFilter:
    """A list to choose from; nothing chosen filters nothing."""
    return filters.ChoiceFilter(**({"empty_label": "Any"} | options))


def team_choices() -> list[tuple[str, str]]:
    """Teams as a filter offers them."""
    return list(Team.objects.order_by("name").values_list("slug", "name"))


def environment_choices() -> list[tuple[str, str]]:
    """Environments in their own order."""
    rows = Environment.objects.order_by("position", "slug")
    return list(rows.values_list("slug", "slug"))


class ListFilter(filters.FilterSet):  # type: ignore[misc]
    """A filter whose controls look like the rest of the page."""

    @property
    def form(self) -> forms.Form:
        """The filter's form, with the classes of its controls."""
        form: forms.Form = super().form
        for field in form.fields.values():
            select = isinstance(field.widget, forms.Select)
            kind = "form-select" if select else "form-control"
            field.widget.attrs.setdefault("class", kind)
        return form


class PeriodFilter(ListFilter):
    """A filter with a period; what it is the period of is the list's to say."""

    period = filters.ChoiceFilter(
        choices=_PERIODS, method="keep", empty_label=None, label="Period"
    )
    first = filters.DateFilter(method="keep", widget=_day(), label="From")
    last = filters.DateFilter(method="keep", widget=_day(), label="To")

    def __init__(self, data: QueryDict, *args: Any, **kwargs: Any) -> None:
        # The select shows the period in force, also where the address names none.
        shown = data.copy()
        if not shown.get("period"):
            dated = shown.get("first") or shown.get("last")
            shown["period"] = "custom" if dated else DEFAULT_PERIOD
        super().__init__(shown, *args, **kwargs)

    def window(self, *, at: datetime) -> Period | None:
        """The chosen period; None for all time. Raises Invalid."""
        values = self.form.cleaned_data
        first: date | None = values.get("first")
        last: date | None = values.get("last")
        zone = settings.REPORT_TIME_ZONE
        if first or last:
            begin = first or last or at.date()
            return custom(begin, last or max(at.date(), begin), zone=zone)
        name = values.get("period") or DEFAULT_PERIOD
        return preset(name, zone=zone, at=at) if name in PRESETS else None

    def keep(self, queryset: QuerySet[Any], _: str, __: Any) -> QuerySet[Any]:
        """The fields of the period act together, in ``filter_queryset``."""
        return queryset


class RunFilter(PeriodFilter):
    """Which runs: by time, status, payer, tool, error or text."""

    status = choice_filter(choices=Run.Status.choices, label="Status")
    team = choice_filter(choices=team_choices, label="Team")
    environment = choice_filter(choices=environment_choices, label="Environment")
    project = filters.CharFilter(
        method="of_project", widget=search_input("team/project"), label="Project"
    )
    mode = choice_filter(choices=Run.Mode.choices, label="Kind of run")
    model = filters.CharFilter(widget=search_input("model"), label="Model")
    cost_centre = filters.CharFilter(widget=search_input("CC-100"), label="Cost centre")
    tool = filters.CharFilter(
        method="with_tool", widget=search_input("server.tool"), label="Tool"
    )
    principal = filters.CharFilter(
        method="of_principal", widget=search_input("account"), label="Principal"
    )
    server = filters.CharFilter(
        method="with_server", widget=search_input("server"), label="Server"
    )
    language = filters.CharFilter(widget=search_input("python"), label="Language")
    waste = choice_filter(choices=WASTE, method="wasted", label="Wasted")
    counted = choice_filter(
        choices=[("ended", "When they ended")],
        method="keep",
        empty_label="When they were queued",
        label="Counted",
    )
    error = filters.CharFilter(
        method="with_error", widget=search_input("timeout"), label="Error code"
    )
    task = filters.CharFilter(
        method="of_task", widget=search_input("id or name"), label="Task"
    )
    q = filters.CharFilter(
        method="with_text",
        widget=search_input("Run id, script or output"),
        label="Text",
    )

    class Meta:
        model = Run
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Run]) -> QuerySet[Run]:
        """Every filter, and the period that applies when none is chosen."""
        found: QuerySet[Run] = super().filter_queryset(queryset)
        period = self.window(at=now())
        if self.form.cleaned_data.get("counted"):
            return ended_within(found, period)
        if period:
            found = found.filter(queued_at__gte=period.start, queued_at__lt=period.end)
        return found

    def of_project(self, queryset: QuerySet[Run], _: str, value: str) -> QuerySet[Run]:
        owner, _, project = value.rpartition("/")
        found = queryset.filter(project=project)
        return found.filter(team=owner) if owner else found

    def with_tool(self, queryset: QuerySet[Run], _: str, value: str) -> QuerySet[Run]:
        calls = ToolCall.objects.filter(run=OuterRef("pk"), tool=value)
        return queryset.filter(Exists(calls) | Q(direct_tool=value))

    def with_server(self, queryset: QuerySet[Run], _: str, value: str) -> QuerySet[Run]:
        start = f"{value}."
        calls = ToolCall.objects.filter(run=OuterRef("pk"), tool__startswith=start)
        return queryset.filter(Exists(calls) | Q(direct_tool__startswith=start))

    def wasted(self, queryset: QuerySet[Run], _: str, value: str) -> QuerySet[Run]:
        return wasted(queryset, value)

    def of_principal(
        self, queryset: QuerySet[Run], _: str, value: str
    ) -> QuerySet[Run]:
        return queryset.filter(
            Q(principal__icontains=value) | Q(principal_label__icontains=value)
        )

    def with_error(self, queryset: QuerySet[Run], _: str, value: str) -> QuerySet[Run]:
        # As the column is text: a quote inside a JSON string is escaped, so no
        # script can write this into its message.
        return queryset.annotate(error_text=Cast("error", TextField())).filter(
            error_text__contains=f'"code":{json.dumps(value)}'
        )

    def of_task(self, queryset: QuerySet[Run], _: str, value: str) -> QuerySet[Run]:
        return queryset.filter(Q(task__uid=value) | Q(task__label__icontains=value))

    def with_text(self, queryset: QuerySet[Run], _: str, value: str) -> QuerySet[Run]:
        return queryset.filter(
            Q(uid__startswith=value)
            | Q(code__icontains=value)
            | Q(stdout__icontains=value)
        )


class ServerFilter(ListFilter):
    """Which servers: by text, status, health and transport."""

    q = filters.CharFilter(
        method="with_text", widget=search_input("Name or description"), label="Search"
    )
    status = choice_filter(choices=Server.Status.choices, label="Status")
    health = choice_filter(choices=Server.Health.choices, label="Health")
    transport = choice_filter(choices=Server.Transport.choices, label="Transport")

    class Meta:
        model = Server
        fields: list[str] = []

    def with_text(
        self, queryset: QuerySet[Server], _: str, value: str
    ) -> QuerySet[Server]:
        return queryset.filter(
            Q(name__icontains=value) | Q(description__icontains=value)
        )


_CONFIRMED = [("yes", "Confirmed"), ("no", "To be confirmed")]
_OFFERED = [("yes", "Offered"), ("no", "Removed"), ("all", "Both")]


class ToolFilter(ListFilter):
    """Which tools: by text, server, effect and its review, environment and tag."""

    q = filters.CharFilter(
        method="with_text",
        widget=search_input("Name, description or tag"),
        label="Search",
    )
    server = choice_filter(
        choices=lambda: [
            (name, name)
            for name in Server.objects.order_by("name").values_list("name", flat=True)
        ],
        field_name="server__name",
        label="Server",
    )
    effect = choice_filter(choices=Effect.choices, label="Effect")
    confirmed = choice_filter(
        choices=_CONFIRMED, method="is_confirmed", label="Effect review"
    )
    environment = choice_filter(
        choices=environment_choices, field_name="environments__slug", label="Enabled in"
    )
    tag = filters.CharFilter(method="with_tag", widget=search_input("tag"), label="Tag")
    offered = choice_filter(choices=_OFFERED, method="keep", label="Offered")

    class Meta:
        model = Tool
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Tool]) -> QuerySet[Tool]:
        """Every filter; removed tools only where they are asked for."""
        found: QuerySet[Tool] = super().filter_queryset(queryset)
        wanted = self.form.cleaned_data.get("offered") or "yes"
        if wanted == "all":
            return found
        return found.filter(removed_at__isnull=wanted == "yes")

    def keep(self, queryset: QuerySet[Tool], _: str, __: Any) -> QuerySet[Tool]:
        """Acts in ``filter_queryset``, since it has a default."""
        return queryset

    def with_text(self, queryset: QuerySet[Tool], _: str, value: str) -> QuerySet[Tool]:
        for word in value.replace(".", " ").split()[:8]:
            queryset = queryset.filter(
                Q(name__icontains=word)
                | Q(server__name__icontains=word)
                | Q(original__icontains=word)
                | Q(current__description__icontains=word)
                | Q(tags__contains=[word.lower()])
            )
        return queryset

    def is_confirmed(
        self, queryset: QuerySet[Tool], _: str, value: str
    ) -> QuerySet[Tool]:
        if value == "yes":
            return queryset.exclude(effect_confirmed_by="")
        return queryset.filter(effect_confirmed_by="")

    def with_tag(self, queryset: QuerySet[Tool], _: str, value: str) -> QuerySet[Tool]:
        return queryset.filter(tags__contains=[value.lower()])
