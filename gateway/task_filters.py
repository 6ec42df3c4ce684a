"""The filter of the list of tasks."""

from typing import Any

import django_filters as filters
from django.db.models import Q, QuerySet

from core.clock import now
from finops.models import TaskFact
from gateway.filters import PeriodFilter, choice_filter, search_input, team_choices
from gateway.models import Task


class TaskFilter(PeriodFilter):
    """Which tasks: by the end of their last run, team, outcome, model or name."""

    team = choice_filter(choices=team_choices, label="Team")
    outcome = choice_filter(choices=TaskFact.Outcome.choices, label="Outcome")
    model = filters.CharFilter(widget=search_input("model"), label="Model")
    q = filters.CharFilter(
        method="named", widget=search_input("Task id or name"), label="Text"
    )

    class Meta:
        model = TaskFact
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Every filter, and the period that applies when none is chosen."""
        found: QuerySet[Any] = super().filter_queryset(queryset)
        if period := self.window(at=now()):
            found = found.filter(ended_at__gte=period.start, ended_at__lt=period.end)
        return found

    def named(self, queryset: QuerySet[Any], _: str, value: str) -> QuerySet[Any]:
        called = Task.objects.filter(label__icontains=value).values("uid")
        return queryset.filter(Q(task=value) | Q(task__in=called))
