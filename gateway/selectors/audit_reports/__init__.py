"""The reports an auditor asks for, by their short names."""

from core.errors import NotFound
from gateway.selectors.audit_reports.access import ACCESS
from gateway.selectors.audit_reports.decisions import APPROVALS, OUTCOMES
from gateway.selectors.audit_reports.keys import KEYS
from gateway.selectors.audit_reports.parts import Report
from gateway.selectors.audit_reports.trail import CHANGES, DENIED

REPORTS: tuple[Report, ...] = (ACCESS, CHANGES, DENIED, APPROVALS, OUTCOMES, KEYS)


def report_named(slug: str) -> Report:
    """The report of that name. Raises NotFound."""
    for report in REPORTS:
        if report.slug == slug:
            return report
    raise NotFound("There is no such report: choose one from the list.")
