"""Filters of this app's lists, shared by pages and exports."""

from datetime import datetime

import django_filters
from django.db.models import Q, QuerySet

from core.clock import now
from policy.models import ApiKey

STATES = (("active", "Active"), ("expired", "Expired"), ("revoked", "Revoked"))


def in_state(keys: QuerySet[ApiKey], state: str, *, at: datetime) -> QuerySet[ApiKey]:
    """Keys that are ``active``, ``expired`` or ``revoked`` at that time."""
    if state == "revoked":
        return keys.exclude(revoked_at=None)
    ended = Q(expires_at__lte=at)
    return keys.filter(revoked_at=None).filter(ended if state == "expired" else ~ended)


class KeyFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Keys by team, state, environment and words of their name."""

    q = django_filters.CharFilter(method="by_words", label="Name or prefix")
    team = django_filters.CharFilter(
        field_name="service_account__team__slug", label="Team"
    )
    environment = django_filters.CharFilter(
        field_name="environment__slug", label="Environment"
    )
    state = django_filters.ChoiceFilter(
        choices=STATES, method="by_state", label="State", empty_label="Any"
    )

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = ()

    def by_words(
        self, keys: QuerySet[ApiKey], name: str, value: str
    ) -> QuerySet[ApiKey]:
        return keys.filter(
            Q(name__icontains=value)
            | Q(prefix__startswith=value[:11])
            | Q(service_account__name__icontains=value)
        )

    def by_state(
        self, keys: QuerySet[ApiKey], name: str, value: str
    ) -> QuerySet[ApiKey]:
        return in_state(keys, value, at=now())
