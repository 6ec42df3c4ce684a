"""Reads of quotas: use in the present window, past windows, and who met them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import (
    Case,
    Count,
    DateTimeField,
    DecimalField,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, NullIf, Trunc

from audit.web import Rights
from core.errors import NotFound
from policy.access import POLICY_READ
from policy.models import Quota, QuotaRefusal, QuotaUse
from policy.quota import Forecast, forecast, tidy, window_of

NEAR = Decimal("0.8")
"""A quota is near its limit from this share on."""
_AMOUNT = DecimalField(max_digits=20, decimal_places=3)
SHOWN_WINDOWS = {"minute": 60, "hour": 48, "day": 31, "month": 13}


@dataclass(frozen=True, slots=True)
class QuotaLine:
    """A quota with what is used of it in its present window."""

    id: int
    metric: str
    label: str
    """What it counts, as people say it."""
    window: str
    limit: int
    used: Decimal
    scope: str
    team: str
    key: str
    tool: str
    environment: str
    starts_at: datetime
    resets_at: datetime | None
    forecast: Forecast

    @property
    def remaining(self) -> Decimal:
        return max(self.limit - self.used, Decimal(0))

    @property
    def percent(self) -> int:
        """The share used, of which anything that is left keeps it below 100."""
        if self.used >= self.limit:
            return 100
        return int(self.used * 100 / self.limit)

    @property
    def full(self) -> bool:
        return self.used >= self.limit

    @property
    def state(self) -> str:
        """``full``, ``near`` or ``ok``."""
        if self.full:
            return "full"
        return "near" if self.used >= self.limit * NEAR else "ok"

    @property
    def what(self) -> str:
        """What is counted, and in which window."""
        return f"{self.label} per {self.window}" if self.window else self.label

    @property
    def full_by(self) -> str:
        """When it will be full (UTC): the time, with the day where that is another."""
        at = self.forecast.full_at
        if at is None:
            return ""
        same = at.date() == self.forecast.made_at.date()
        return f"{at:%H:%M}" if same else f"{at:%-d %b, %H:%M}"


@dataclass(frozen=True, slots=True)
class PastWindow:
    """A window of a quota: what was used of which limit, and how often it refused."""

    start: datetime
    used: Decimal
    limit: int
    refused: int


def visible_quotas(access: Rights, capability: str = POLICY_READ) -> QuerySet[Quota]:
    """Quotas of the teams that this person may see, those of their keys too."""
    quotas = Quota.objects.live().select_related("team", "key", "environment")
    teams = access.teams_for(capability)
    if teams is None:
        return quotas
    return quotas.filter(
        Q(team__slug__in=teams) | Q(key__service_account__team__slug__in=teams)
    )


def with_use(quotas: QuerySet[Quota], *, at: datetime) -> QuerySet[Quota]:
    """The quotas with ``used_now`` and ``share_now``, the fullest first."""
    present = Case(
        *(
            When(window=window, then=Value(window_of(window, at)[0]))
            for window in Quota.Window.values
        ),
        output_field=DateTimeField(),
    )
    use = QuotaUse.objects.filter(
        quota=OuterRef("pk"), window_start=OuterRef("present")
    ).values("used")[:1]
    share = F("used_now") * Decimal(1) / NullIf(F("limit"), 0)
    return (
        quotas.annotate(present=present)
        .annotate(used_now=Coalesce(Subquery(use), Decimal(0), output_field=_AMOUNT))
        .annotate(
            share_now=Coalesce(
                ExpressionWrapper(share, output_field=_AMOUNT),
                Decimal(1),
                output_field=_AMOUNT,
            )
        )
        .order_by("-share_now", "pk")
    )


def lines(quotas: Iterable[Quota], *, at: datetime) -> list[QuotaLine]:
    """Quotas that ``with_use`` found, as pages and exports show them."""
    return [_line(quota, at) for quota in quotas]


def _line(quota: Quota, at: datetime) -> QuotaLine:
    limit = quota.as_limit()
    start, end = window_of(quota.window, at)
    used = tidy(quota.used_now)  # type: ignore[attr-defined] # annotated
    return QuotaLine(
        id=quota.pk,
        metric=quota.metric,
        label=quota.get_metric_display(),
        window=quota.window,
        limit=quota.limit,
        used=used,
        scope=limit.scope,
        team=limit.team,
        key=limit.key,
        tool=limit.tool,
        environment=limit.environment,
        starts_at=start,
        resets_at=end,
        forecast=forecast(used=used, limit=quota.limit, start=start, end=end, at=at),
    )


def quotas_of(team_id: int, *, at: datetime) -> list[QuotaLine]:
    """The team's quotas and those of its keys; one query."""
    found = Quota.objects.live().filter(
        Q(team=team_id) | Q(key__service_account__team=team_id)
    )
    shown = found.select_related("team", "key", "environment")
    return lines(with_use(shown, at=at)[:200], at=at)


def tight(access: Rights, *, at: datetime) -> int:
    """How many quotas that this person may see are near their limit, or full."""
    return fuller(with_use(visible_quotas(access), at=at), NEAR).count()


def fuller(quotas: QuerySet[Quota], share: Decimal) -> QuerySet[Quota]:
    """Those of which ``with_use`` found this share used, or more."""
    return quotas.filter(**{"share_now__gte": share})


def quota_for(access: Rights, pk: int, capability: str = POLICY_READ) -> Quota:
    """The quota, if this person may see it. Raises NotFound."""
    quota = visible_quotas(access, capability).filter(pk=pk).first()
    if quota is None:
        raise NotFound("There is no such quota: it may be gone already.")
    return quota


def line_of(quota: Quota, *, at: datetime) -> QuotaLine:
    """One quota with its use; one query."""
    (found,) = with_use(
        Quota.objects.filter(pk=quota.pk).select_related("team", "key", "environment"),
        at=at,
    )
    return _line(found, at)


def history(quota: Quota, *, at: datetime) -> list[PastWindow]:
    """The last windows, the oldest first, unused ones too; two queries."""
    starts = list(_starts(quota.window, at))
    if not starts:
        return []
    uses = {
        use.window_start: use
        for use in QuotaUse.objects.filter(
            quota=quota, window_start__gte=starts[0], window_start__lte=starts[-1]
        )
    }
    refused = _refused(quota, since=starts[0])
    return [
        PastWindow(
            start,
            tidy(uses[start].used) if start in uses else Decimal(0),
            (uses[start].limit if start in uses else None) or quota.limit,
            refused.get(start, 0),
        )
        for start in starts
    ]


def _starts(window: str, at: datetime) -> list[datetime]:
    found: list[datetime] = []
    start, _ = window_of(window, at)
    for _ in range(SHOWN_WINDOWS.get(window, 0)):
        found.append(start)
        start, _ = window_of(window, start - timedelta(seconds=1))
    return found[::-1]


def _refused(quota: Quota, *, since: datetime) -> Mapping[datetime, int]:
    rows = (
        QuotaRefusal.objects.filter(quota=quota, at__gte=since)
        .annotate(window=Trunc("at", quota.window, tzinfo=UTC))
        .values("window")
        .annotate(number=Count("pk"))
        .order_by()
    )
    return dict(rows.values_list("window", "number"))


def refusals(quota: Quota) -> QuerySet[QuotaRefusal]:
    """Who met the quota."""
    return QuotaRefusal.objects.filter(quota=quota)
