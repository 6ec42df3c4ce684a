"""Sets, changes and removes budgets: each change is a version with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

from audit.actor import Actor, Target
from audit.registry import EventKind
from audit.services.record import record
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.jobs import enqueue
from core.models import raise_revision
from core.money import show
from core.reasons import reason_given
from finops import events
from finops.budgeting.terms import LEAST_RESERVED, plain, scope_words
from finops.models import Budget, BudgetVersion
from finops.services.budget_spend import expect, reconcile
from finops.services.budgets import BUDGETS
from policy.models import ApiKey, NotificationChannel, Project, Team

MOST = Decimal(10) ** 12
MOST_THRESHOLDS = 8
LONGEST_DAYS = 1830


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose cost counts: what matches everything given; nothing given: all."""

    team: Team | None = None
    project: Project | None = None
    key: ApiKey | None = None
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a budget allows, in which windows, and who is told; see Budget.

    Days are local ones of the reports' zone. Without ``first_day`` windows are months.
    """

    name: str
    amount: Decimal
    first_day: date | None = None
    last_day: date | None = None
    every_days: int | None = None
    thresholds: Sequence[int] = ()
    hard: bool = False
    paused: bool = False
    grace_amount: Decimal | None = None
    grace_percent: Decimal | None = None
    grace_until: datetime | None = None
    reserve: Decimal | None = None
    channels: Sequence[NotificationChannel] = ()


@transaction.atomic
def set_budget(
    *, scope: Scope, terms: Terms, reason: str, actor: Actor, at: datetime
) -> Budget:
    """A new budget; what the ledger has of its window counts at once. Raises Invalid.

    Runs under way when it is set hold nothing of it; their cost counts when they end.
    """
    why = reason_given(reason)
    _check_scope(scope)
    _check(terms)
    budget = Budget(
        uid=new_id("bud"),
        team=scope.team,
        project=scope.project,
        key=scope.key,
        model=scope.model,
        created_at=at,
        version=0,
    )
    _keep(budget, terms, why, actor, at)
    _record(events.BUDGET_SET, budget, None, shown(budget), why, actor, at)
    return budget


@transaction.atomic
def change_budget(
    *, uid: str, terms: Terms, reason: str, actor: Actor, at: datetime
) -> Budget:
    """Give a budget other terms, in force at once; its scope stays.

    What is spent in its window stays spent. Raises NotFound, Invalid.
    """
    budget = _locked(uid)
    why = reason_given(reason)
    _check(terms, budget)
    same = (budget.first_day, budget.last_day, budget.every_days)
    if same != (terms.first_day, terms.last_day, terms.every_days):
        raise Invalid(
            "A budget keeps its days, which its figures belong to: remove it, and set "
            "another."
        )
    before = shown(budget)
    _keep(budget, terms, why, actor, at)
    _record(events.BUDGET_SET, budget, before, shown(budget), why, actor, at)
    return budget


@transaction.atomic
def remove_budget(*, uid: str, reason: str, actor: Actor, at: datetime) -> None:
    """Take a budget out of force; it stays with its history. Raises NotFound."""
    budget = _locked(uid)
    why = reason_given(reason)
    before = shown(budget)
    budget.removed_at = budget.changed_at = at
    budget.save(update_fields=["removed_at", "changed_at"])
    raise_revision(BUDGETS)
    _record(events.BUDGET_REMOVED, budget, before, None, why, actor, at)


def terms_of(budget: Budget) -> Terms:
    """The terms of a budget as they can be given again."""
    return Terms(
        name=budget.name,
        amount=budget.amount,
        first_day=budget.first_day,
        last_day=budget.last_day,
        every_days=budget.every_days,
        thresholds=tuple(budget.thresholds),
        hard=budget.hard,
        paused=budget.paused,
        grace_amount=budget.grace_amount,
        grace_percent=budget.grace_percent,
        grace_until=budget.grace_until,
        reserve=budget.reserve,
        channels=tuple(budget.channels.order_by("pk")),
    )


def target_of(budget: Budget) -> Target:
    """The budget as the trail names it."""
    return Target("budget", budget.uid, budget.name[:200])


def shown(budget: Budget) -> dict[str, Any]:
    """The budget as the trail holds it."""
    cover = budget.as_cover()
    return {
        "name": budget.name,
        "team": cover.team,
        "project": cover.project,
        "key": cover.key,
        "model": cover.model,
        **_as_json(terms_of(budget)),
    }


def _as_json(terms: Terms) -> dict[str, Any]:
    def text(amount: Decimal | None) -> str | None:
        return None if amount is None else plain(amount)

    def moment(value: date | None) -> str | None:
        return None if value is None else value.isoformat()

    return {
        "amount": plain(terms.amount),
        "currency": settings.CURRENCY,
        "period": "custom" if terms.first_day else "month",
        "first_day": moment(terms.first_day),
        "last_day": moment(terms.last_day),
        "every_days": terms.every_days,
        "thresholds": list(terms.thresholds),
        "hard": terms.hard,
        "paused": terms.paused,
        "grace_amount": text(terms.grace_amount),
        "grace_percent": text(terms.grace_percent),
        "grace_until": moment(terms.grace_until),
        "reserve": text(terms.reserve),
        "channels": [channel.name for channel in terms.channels],
    }


def _locked(uid: str) -> Budget:
    # Uses refer to the row: a lock against its key would stop every run.
    found = Budget.objects.live().select_for_update(no_key=True, of=("self",))
    budget = found.filter(uid=uid).first()
    if budget is None:
        raise NotFound("There is no such budget: it may be removed already.")
    return budget


def _keep(
    budget: Budget, terms: Terms, reason: str, actor: Actor, at: datetime
) -> None:
    kinds = Budget.Period
    budget.name = terms.name.strip()
    budget.period = kinds.CUSTOM if terms.first_day else kinds.MONTH
    budget.first_day, budget.last_day = terms.first_day, terms.last_day
    budget.every_days = terms.every_days
    budget.amount, budget.hard = terms.amount, terms.hard
    budget.paused = terms.paused
    budget.thresholds = sorted(set(terms.thresholds))
    budget.grace_amount = terms.grace_amount
    budget.grace_percent = terms.grace_percent
    budget.grace_until = terms.grace_until
    budget.reserve = terms.reserve
    budget.expected = budget.expected or LEAST_RESERVED
    budget.version += 1
    budget.changed_at = at
    budget.save()
    budget.channels.set(terms.channels)
    BudgetVersion.objects.create(
        budget=budget,
        number=budget.version,
        at=at,
        actor=actor.label[:200],
        reason=reason,
        amount=budget.amount,
        terms=_as_json(terms),
    )
    raise_revision(BUDGETS)
    cover = budget.as_cover()
    budget.expected = expect(cover=cover, at=at)
    if window := cover.calendar.at(at):
        reconcile(cover=cover, window=window, at=at)
    enqueue("finops.forecast_budgets", swept=True)


def _check_scope(scope: Scope) -> None:
    owner = scope.project.team if scope.project else scope.team
    if scope.project and scope.team and scope.project.team != scope.team:
        raise Invalid(f"{scope.project} is no project of team {scope.team}.")
    if scope.key and owner and scope.key.service_account.team != owner:
        raise Invalid(f"The key {scope.key} is not one of team {owner}.")
    if len(scope.model) > 100 or not scope.model.isprintable():
        raise Invalid("A model's name has at most 100 characters.")


def _check(terms: Terms, budget: Budget | None = None) -> None:
    name = terms.name.strip()
    if not 0 < len(name) <= 100 or not name.isprintable():
        raise Invalid("Give the budget a name of up to 100 characters.")
    taken = Budget.objects.live().filter(name=name)
    if taken.exclude(uid=budget.uid if budget else "").exists():
        raise Invalid(f"There is a budget {name!r} already: choose another name.")
    _check_days(terms)
    _check_amounts(terms)
    if len(terms.thresholds) > MOST_THRESHOLDS or not all(
        1 <= one <= 1000 for one in terms.thresholds
    ):
        raise Invalid(
            f"Thresholds are up to {MOST_THRESHOLDS} whole per cents from 1 to 1,000."
        )


def _check_days(terms: Terms) -> None:
    first, last, every = terms.first_day, terms.last_day, terms.every_days
    if first is None:
        if last or every:
            raise Invalid("Give a first day too: without one, windows are months.")
        return
    if last is not None and last < first:
        raise Invalid("The last day comes before the first: swap them.")
    if every is not None and not 1 <= every <= LONGEST_DAYS:
        raise Invalid(f"It may repeat every 1 to {LONGEST_DAYS} days.")
    if every is None and last is None:
        raise Invalid("Give a last day, or after how many days it repeats.")
    if every is None and last is not None and (last - first).days >= LONGEST_DAYS:
        raise Invalid(f"A window has at most {LONGEST_DAYS} days.")


def _check_amounts(terms: Terms) -> None:
    _check_amount("amount", terms.amount, Decimal(0))
    if terms.reserve is not None:
        _check_amount("reservation of a run", terms.reserve, LEAST_RESERVED)
    if terms.grace_amount is not None:
        _check_amount("grace", terms.grace_amount, Decimal(0))
    if terms.grace_percent is not None and not 0 <= terms.grace_percent <= 1000:
        raise Invalid("The grace is from 0 to 1,000 per cent of the amount.")
    if terms.grace_amount is not None and terms.grace_percent is not None:
        raise Invalid("Give the grace as an amount or in per cent, not both.")
    if not terms.hard and (
        terms.grace_amount is not None
        or terms.grace_percent is not None
        or terms.grace_until is not None
    ):
        raise Invalid("A grace goes with a hard stop: without one nothing is refused.")


def _check_amount(what: str, amount: Decimal, least: Decimal) -> None:
    if not amount.is_finite() or not least <= amount <= MOST:
        raise Invalid(f"The {what} is a number from {plain(least)} to {MOST:,}.")
    if amount != round(amount, 12):
        raise Invalid(f"The {what} has at most 12 decimal places.")


def _record(
    event: EventKind,
    budget: Budget,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    reason: str,
    actor: Actor,
    at: datetime,
) -> None:
    cover = budget.as_cover()
    record(
        event,
        actor=actor,
        at=at,
        target=target_of(budget),
        before=before,
        after=after,
        payload={
            "amount": f"{show(budget.amount)} {settings.CURRENCY}",
            "scope": scope_words(
                team=cover.team,
                project=cover.project,
                key=cover.key,
                model=cover.model,
            ),
            "version": budget.version,
            "reason": reason,
        },
    )
