"""Celery's side of costs: what happens by itself; each task calls one service."""

from celery import shared_task

from core.clock import now
from finops.services import (
    billing,
    budget_alerts,
    budget_spend,
    budgets,
    ledger_months,
    report_mails,
    rerating_plans,
    rollups,
    task_facts,
    unrated_alerts,
)


@shared_task(name="finops.build_statements")
def build_statements() -> None:
    """Build the drafts of months that are open."""
    billing.build_drafts(at=now())


@shared_task(name="finops.reconcile_budgets")
def reconcile_budgets() -> None:
    """Bring what budgets count to what the ledger says."""
    budget_spend.reconcile_all(at=now())


@shared_task(name="finops.watch_budgets")
def watch_budgets() -> None:
    """Give back what nobody can be using any more, and tell of what needs a look."""
    budgets.release_expired(at=now())
    budget_alerts.watch_all(at=now())


@shared_task(name="finops.forecast_budgets")
def forecast_budgets() -> None:
    """Forecast each window's end, and tell of unusual days."""
    budget_alerts.forecast_all(at=now())


@shared_task(name="finops.make_partitions")
def make_partitions() -> None:
    """Keep the ledger's months to come ready."""
    ledger_months.make_ahead()


@shared_task(name="finops.settle_tasks")
def settle_tasks() -> None:
    """Count tasks as abandoned whose last run failed long ago."""
    task_facts.settle_abandoned(at=now())


@shared_task(name="finops.send_reports")
def send_reports() -> None:
    """Write the reports that are due, and send what waits."""
    report_mails.send_due(at=now())


@shared_task(name="finops.roll_up")
def roll_up() -> None:
    """Make the sums of days that are over, and of those that changed."""
    rollups.keep_up(at=now())


@shared_task(name="finops.work_on_rerating")
def work_on_rerating(*, uid: str) -> None:
    """Look at what a re-rating would change, or do it."""
    rerating_plans.work_on(uid=uid)


@shared_task(name="finops.work_on_lost_reratings")
def work_on_lost_reratings() -> None:
    """Take up re-ratings whose worker is gone."""
    rerating_plans.work_on_lost(at=now())


@shared_task(name="finops.tell_unrated")
def tell_unrated() -> None:
    """Tell finance of usage that has no price, once a SKU."""
    unrated_alerts.tell_unrated(at=now())
