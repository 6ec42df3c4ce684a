"""Usage, prices, the facts that reports are made of, budgets and statements."""

from finops.models.annotations import Annotation
from finops.models.budgets import (
    Budget,
    BudgetAlert,
    BudgetHold,
    BudgetRefusal,
    BudgetUse,
    BudgetVersion,
)
from finops.models.centres import AllocationRule, AllocationVersion, CostCentre
from finops.models.disputes import Dispute, DisputeComment
from finops.models.facts import RunFact
from finops.models.fx import ExchangeRate
from finops.models.ledger import UsageEvent
from finops.models.prices import Price
from finops.models.reported import UsageReport
from finops.models.rerating import Rerating
from finops.models.rollups import DayFigures, DaySketch, DirtyDay, RollupState
from finops.models.saved import ReportMail, ReportSchedule, SavedReport
from finops.models.statements import Adjustment, BillingPeriod, Statement, StatementLine
from finops.models.tasks import TaskFact
from finops.models.unrated import UnratedNotice

__all__ = [
    "Adjustment",
    "AllocationRule",
    "AllocationVersion",
    "Annotation",
    "BillingPeriod",
    "Budget",
    "BudgetAlert",
    "BudgetHold",
    "BudgetRefusal",
    "BudgetUse",
    "BudgetVersion",
    "CostCentre",
    "DayFigures",
    "DaySketch",
    "DirtyDay",
    "Dispute",
    "DisputeComment",
    "ExchangeRate",
    "Price",
    "ReportMail",
    "ReportSchedule",
    "Rerating",
    "RollupState",
    "RunFact",
    "SavedReport",
    "Statement",
    "StatementLine",
    "TaskFact",
    "UnratedNotice",
    "UsageEvent",
    "UsageReport",
]
