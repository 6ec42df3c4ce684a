"""Addresses of the reports and of what stands beside them."""

from django.urls import URLPattern, URLResolver, path

from finops.api import annotations as api_annotations
from finops.api import modes as api_modes
from finops.api import reports as api_reports
from finops.views import annotations, efficiency, modes, reports, schedules

urlpatterns: list[URLPattern | URLResolver] = [
    path("reports/", reports.reports, name="reports"),
    path("reports/efficiency/", efficiency.efficiency_page, name="efficiency"),
    path("reports/annotations/", annotations.annotations, name="annotations"),
    path(
        "reports/annotations/<slug:uid>/remove/",
        annotations.annotation_remove,
        name="annotation_remove",
    ),
    path("reports/modes/", modes.modes, name="report_modes"),
    path("reports/save/", schedules.report_save, name="report_save"),
    path(
        "reports/saved/<slug:uid>/remove/",
        schedules.report_remove,
        name="report_remove",
    ),
    path("reports/schedules/", schedules.schedules, name="report_schedules"),
    path(
        "reports/schedules/<slug:uid>/remove/",
        schedules.schedule_remove,
        name="schedule_remove",
    ),
    path(
        "reports/schedules/<slug:uid>/pause/",
        schedules.schedule_pause,
        name="schedule_pause",
    ),
    path(
        "reports/schedules/<slug:uid>/resume/",
        schedules.schedule_resume,
        name="schedule_resume",
    ),
    path(
        "reports/unsubscribe/<str:token>/",
        schedules.report_unsubscribe,
        name="report_unsubscribe",
    ),
    path("reports/<slug:slug>/", reports.report, name="report"),
    path(
        "api/v1/annotations/",
        api_annotations.AnnotationList.as_view(),
        name="api_annotations",
    ),
    path(
        "api/v1/annotations/<slug:uid>/remove/",
        api_annotations.AnnotationRemove.as_view(),
        name="api_annotation_remove",
    ),
    path("api/v1/reports/modes/", api_modes.Modes.as_view(), name="api_modes"),
    path(
        "api/v1/reports/<slug:slug>/", api_reports.Report.as_view(), name="api_report"
    ),
]
