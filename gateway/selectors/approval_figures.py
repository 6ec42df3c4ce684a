"""How long decisions take and what they are, in all, by rule and by who is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import (
    Aggregate,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    Q,
    QuerySet,
)

from policy.models import Approval, ApprovalRoute

State = Approval.State
_MOST_ROWS = 50
_AGREED = (State.APPROVED, State.USED)
_DECIDED = (*_AGREED, State.REJECTED)


class Percentile(Aggregate):
    """A continuous percentile, exact."""

    function = "percentile_cont"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"

    def __init__(self, expression: Any, share: float, **extra: Any) -> None:
        super().__init__(expression, share=share, **extra)


@dataclass(frozen=True, slots=True)
class Figures:
    """Requests of one kind. ``median`` and ``p95`` are seconds from asking to the
    decision by a person; None where nobody has decided."""

    label: str
    asked: int
    approved: int
    rejected: int
    expired: int
    withdrawn: int
    median: float | None
    p95: float | None

    @property
    def open(self) -> int:
        closed = self.approved + self.rejected + self.expired + self.withdrawn
        return self.asked - closed

    def share(self, count: int) -> str:
        """A part of those that came to an end by a decision or by time."""
        ended = self.approved + self.rejected + self.expired
        return f"{100 * count / ended:.0f} %" if ended else "–"

    @property
    def approved_share(self) -> str:
        return self.share(self.approved)

    @property
    def rejected_share(self) -> str:
        return self.share(self.rejected)

    @property
    def expired_share(self) -> str:
        return self.share(self.expired)


def in_all(found: QuerySet[Approval]) -> Figures:
    """Figures of these approvals; one query."""
    row = found.order_by().aggregate(**_figures(""))
    return _row("All", row)


def by_rule(found: QuerySet[Approval]) -> list[Figures]:
    """The same for each rule that asked, the most frequent first; one query."""
    rows = _routes(found).values("rule").annotate(**_figures("approval__"))
    return [
        _row(row["rule"] or "the tool's own mark", row)
        for row in sorted(rows, key=_frequent)[:_MOST_ROWS]
    ]


def by_audience(found: QuerySet[Approval]) -> list[Figures]:
    """The same for each role and group that was asked; one query."""
    rows = _routes(found).values("kind", "name").annotate(**_figures("approval__"))
    return [
        _row(f"{row['kind']} {row['name']}", row)
        for row in sorted(rows, key=_frequent)[:_MOST_ROWS]
    ]


def _routes(found: QuerySet[Approval]) -> QuerySet[ApprovalRoute]:
    wanted = found.order_by().values("pk")
    return ApprovalRoute.objects.filter(approval__in=wanted).order_by()


def _figures(prefix: str) -> dict[str, Aggregate]:
    state = f"{prefix}state"
    key = f"{prefix}pk" if not prefix else "approval"
    taken = ExpressionWrapper(
        F(f"{prefix}decided_at") - F(f"{prefix}requested_at"),
        output_field=DurationField(),
    )
    decided = Q(**{f"{state}__in": _DECIDED})

    def count(*states: str) -> Count:
        return Count(key, distinct=True, filter=Q(**{f"{state}__in": states}))

    return {
        "asked": Count(key, distinct=True),
        "approved": count(*_AGREED),
        "rejected": count(State.REJECTED),
        "expired": count(State.EXPIRED),
        "withdrawn": count(State.WITHDRAWN),
        "median": Percentile(taken, 0.5, filter=decided),
        "p95": Percentile(taken, 0.95, filter=decided),
    }


def _frequent(row: Mapping[str, Any]) -> tuple[int, str]:
    return -row["asked"], f"{row.get('rule', '')}{row.get('kind', '')}{row.get('name')}"


def _row(label: str, row: Mapping[str, Any]) -> Figures:
    return Figures(
        label,
        asked=row["asked"],
        approved=row["approved"],
        rejected=row["rejected"],
        expired=row["expired"],
        withdrawn=row["withdrawn"],
        median=_seconds(row["median"]),
        p95=_seconds(row["p95"]),
    )


def _seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()
