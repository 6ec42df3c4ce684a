"""The lines of the reports in the access table."""

from tests.integration.access_row import row

_NOTE = {"text": "Out", "team": "sales"}
_DONE = {"outcome": "failed", "reason": "r"}
REPORTS = (
    row("GET", "tasks", "S++++++"),
    row("GET", "task", "S4+++++", uid="@task"),
    row("POST", "task_outcome", "S4++3++", uid="@task", body=_DONE),
    row("POST", "api_task_outcome", "S4++3++", uid="@task", body=_DONE, json=True),
    row("GET", "cost_movers", "S++++++"),
    row("GET", "reports", "S++++++"),
    row("GET", "report", "S++++++", slug="first-try"),
    row("GET", "efficiency", "S++++++"),
    row("GET", "report_modes", "S++++++"),
    row("GET", "api_modes", "S++++++"),
    row("GET", "api_report", "S++++++", slug="time"),
    row("GET", "annotations", "S++++++"),
    row("POST", "annotations", "S+++3++", body={"text": "Out"}),
    row("POST", "annotation_remove", "S4++3++", uid="@note"),
    row("GET", "api_annotations", "S++++++"),
    row("POST", "api_annotations", "S4++3++", body=_NOTE, json=True),
    row("POST", "api_annotation_remove", "S4++3++", uid="@note"),
    row("POST", "report_save", "S++++++", body={"name": "N", "page": "costs"}),
    row("POST", "report_remove", "S444444", uid="view_x"),
    row("GET", "report_schedules", "S++++++"),
    row("POST", "report_schedules", "S++++++", body={"every": "day"}),
    row("POST", "schedule_remove", "S4444++", uid="@schedule"),
    row("POST", "schedule_pause", "S4444++", uid="@schedule"),
    row("POST", "schedule_resume", "S4444++", uid="@schedule"),
    row("GET", "report_unsubscribe", "4444444", token="x"),
    row("POST", "report_unsubscribe", "4444444", token="x"),
)  # fmt: skip
