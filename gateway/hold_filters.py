"""Filters of what waits for people: approvals, and calls with unknown outcomes."""

from typing import Any

import django_filters as filters
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from core.clock import now
from core.period import PRESETS, preset
from gateway.filters import (
    ListFilter,
    choice_filter,
    environment_choices,
    search_input,
    team_choices,
)
from gateway.models import ToolCall
from gateway.selectors import approvals, outcomes
from policy.models import Approval, ApprovalRoute, ApprovalVote

ALL = "all"


class ApprovalFilter(ListFilter):
    """Which approvals: by state (open ones when none is chosen), team, tool, run."""

    state = choice_filter(
        choices=[*Approval.State.choices, (ALL, "All")],
        method="keep",
        label="State",
        empty_label="Pending",
    )
    team = choice_filter(choices=team_choices, label="Team")
    environment = choice_filter(choices=environment_choices, label="Environment")
    tool = filters.CharFilter(widget=search_input("server.tool"), label="Tool")
    rule = filters.CharFilter(
        method="by_rule", widget=search_input("big-refunds"), label="Rule"
    )
    asks = filters.CharFilter(
        method="of_audience", widget=search_input("finance"), label="Asks"
    )
    person = filters.CharFilter(
        method="with_person", widget=search_input("user name"), label="Person"
    )
    period = choice_filter(
        choices=[
            (name, f"Last {days} days" if days > 1 else "Last 24 hours")
            for name, days in PRESETS.items()
        ],
        method="within",
        label="Asked in",
        empty_label="All time",
    )
    q = filters.CharFilter(
        method="with_text", widget=search_input("Approval, run or who"), label="Text"
    )

    class Meta:
        model = Approval
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Approval]) -> QuerySet[Approval]:
        """Every filter; without a state only what waits."""
        found: QuerySet[Approval] = super().filter_queryset(queryset)
        wanted = self.form.cleaned_data.get("state") or Approval.State.PENDING
        return found if wanted == ALL else approvals.in_state(found, wanted, at=now())

    def keep(self, queryset: QuerySet[Approval], _: str, __: Any) -> QuerySet[Approval]:
        """Acts in ``filter_queryset``, since it has a default."""
        return queryset

    def by_rule(
        self, queryset: QuerySet[Approval], _: str, value: str
    ) -> QuerySet[Approval]:
        asked = ApprovalRoute.objects.filter(approval=OuterRef("pk"), rule=value)
        return queryset.filter(Exists(asked))

    def of_audience(
        self, queryset: QuerySet[Approval], _: str, value: str
    ) -> QuerySet[Approval]:
        name = value.removeprefix("role ").removeprefix("group ")
        asked = ApprovalRoute.objects.filter(
            Q(name=name) | Q(escalate_name=name, escalated_at__isnull=False),
            approval=OuterRef("pk"),
        )
        return queryset.filter(Exists(asked))

    def with_person(
        self, queryset: QuerySet[Approval], _: str, value: str
    ) -> QuerySet[Approval]:
        """Who voted or asked, by user name or by the trail's id."""
        actor = value if ":" in value else f"user:{value}"
        voted = ApprovalVote.objects.filter(approval=OuterRef("pk"), voter=actor)
        asked = Q(requesters__contains=[actor])
        return queryset.filter(Exists(voted) | asked | Q(decided_by=actor))

    def within(
        self, queryset: QuerySet[Approval], _: str, value: str
    ) -> QuerySet[Approval]:
        period = preset(value, zone=settings.REPORT_TIME_ZONE, at=now())
        return queryset.filter(requested_at__gte=period.start)

    def with_text(
        self, queryset: QuerySet[Approval], _: str, value: str
    ) -> QuerySet[Approval]:
        return queryset.filter(
            Q(uid=value)
            | Q(run=value)
            | Q(requesters__contains=[value])
            | Q(decided_by=value)
            | Q(decided_label__icontains=value)
        )


class OutcomeFilter(ListFilter):
    """Which calls: by state (those to decide when none is chosen), team, tool, run."""

    state = choice_filter(
        choices=outcomes.STATES[1:],
        method="keep",
        label="State",
        empty_label="To decide",
    )
    team = choice_filter(choices=team_choices, field_name="run__team", label="Team")
    environment = choice_filter(
        choices=environment_choices, field_name="run__environment", label="Environment"
    )
    tool = filters.CharFilter(widget=search_input("server.tool"), label="Tool")
    run = filters.CharFilter(
        field_name="run__uid", widget=search_input("run_…"), label="Run"
    )

    class Meta:
        model = ToolCall
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[ToolCall]) -> QuerySet[ToolCall]:
        """Every filter; without a state only what is to be decided."""
        found: QuerySet[ToolCall] = super().filter_queryset(queryset)
        return outcomes.in_state(
            found, self.form.cleaned_data.get("state") or outcomes.OPEN
        )

    def keep(self, queryset: QuerySet[ToolCall], _: str, __: Any) -> QuerySet[ToolCall]:
        """Acts in ``filter_queryset``, since it has a default."""
        return queryset
