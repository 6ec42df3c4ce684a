"""What people may send about quotas; forms only validate."""

from decimal import Decimal
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet

from policy.forms import TollgateForm
from policy.models import ApiKey, Environment, Quota, Team
from policy.quota_selectors import NEAR, fuller
from policy.services.quota_changes import MOST, Scope

STATES = (("near", "Near or full"), ("full", "Full"))
SCOPES = (
    ("organization", "Organization"),
    ("team", "Team"),
    ("key", "Key"),
    ("tool", "Tool"),
    ("environment", "Environment"),
)


class LimitForm(TollgateForm):
    """Another limit for a quota."""

    limit = forms.IntegerField(
        label="At most", min_value=0, max_value=MOST, help_text="0 allows nothing."
    )
    reason = forms.CharField(max_length=400, help_text="Kept in the audit trail.")


class RemoveForm(TollgateForm):
    """Why a quota goes."""

    reason = forms.CharField(max_length=400, help_text="Kept in the audit trail.")


class QuotaForm(LimitForm):
    """A new quota: what, how much, and whose acts count."""

    metric = forms.ChoiceField(label="What", choices=Quota.Metric.choices)
    window = forms.ChoiceField(
        label="In each",
        required=False,
        choices=[
            (Quota.Window.AT_ONCE, "– (runs at once)"),
            *[choice for choice in Quota.Window.choices if choice[0]],
        ],
        initial=Quota.Window.DAY,
        help_text="Of the clock and the calendar in UTC.",
    )
    team = forms.ModelChoiceField(
        Team.objects.none(),
        required=False,
        to_field_name="slug",
        empty_label="Every team",
    )
    key = forms.CharField(
        label="Key",
        max_length=11,
        required=False,
        help_text="A key's prefix, such as tg_4kx8m2qp; empty for every key.",
    )
    tool = forms.CharField(
        label="Tools",
        max_length=200,
        required=False,
        help_text="For tool calls: crm.refund, crm.list*, or crm.* for a whole server.",
    )
    environment = forms.ModelChoiceField(
        Environment.objects.none(),
        required=False,
        to_field_name="slug",
        empty_label="Every environment",
    )
    field_order = (
        "metric",
        "limit",
        "window",
        "team",
        "key",
        "tool",
        "environment",
        "reason",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = Team.objects.order_by("name")  # type: ignore[attr-defined]
        self.fields["environment"].queryset = Environment.objects.order_by(  # type: ignore[attr-defined]
            "position", "slug"
        )

    def clean_key(self) -> ApiKey | None:
        prefix = self.cleaned_data["key"].rstrip("…")
        if not prefix:
            return None
        key = ApiKey.objects.select_related("service_account__team")
        found = key.filter(prefix=prefix).first()
        if found is None:
            raise forms.ValidationError(
                f"There is no key {prefix}: prefixes are under Settings, Keys."
            )
        return found

    @property
    def scope(self) -> Scope:
        """Whose acts count."""
        data = self.cleaned_data
        return Scope(
            team=data["team"],
            key=data["key"],
            environment=data["environment"],
            tool=data["tool"].strip(),
        )


class QuotaFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Quotas that ``with_use`` found, by what they count, for whom, and how full."""

    team = django_filters.CharFilter(method="by_team", label="Team")
    metric = django_filters.ChoiceFilter(
        choices=Quota.Metric.choices, label="What", empty_label="Any"
    )
    scope = django_filters.ChoiceFilter(
        choices=SCOPES, method="by_scope", label="Limits", empty_label="Any"
    )
    state = django_filters.ChoiceFilter(
        choices=STATES, method="by_state", label="State", empty_label="Any"
    )
    key = django_filters.CharFilter(field_name="key__prefix", label="Key")
    environment = django_filters.CharFilter(
        field_name="environment__slug", label="Environment"
    )

    class Meta:
        model = Quota
        fields: tuple[str, ...] = ()

    def by_team(
        self, quotas: QuerySet[Quota], name: str, value: str
    ) -> QuerySet[Quota]:
        return quotas.filter(team__slug=value) | quotas.filter(
            key__service_account__team__slug=value
        )

    def by_scope(
        self, quotas: QuerySet[Quota], name: str, value: str
    ) -> QuerySet[Quota]:
        if value == "organization":
            return quotas.filter(team=None, key=None, environment=None, tool="")
        if value == "tool":
            return quotas.exclude(tool="")
        return quotas.filter(**{f"{value}__isnull": False})

    def by_state(
        self, quotas: QuerySet[Quota], name: str, value: str
    ) -> QuerySet[Quota]:
        return fuller(quotas, Decimal(1) if value == "full" else NEAR)
