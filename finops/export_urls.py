"""Pages, files and endpoint of chargeback taken along."""

from django.urls import URLPattern, URLResolver, path

from finops.api import chargeback as api
from finops.views import chargeback_exports as views

urlpatterns: list[URLPattern | URLResolver] = [
    path(
        "chargeback/<str:month>/export/",
        views.chargeback_export,
        name="chargeback_export",
    ),
    path(
        "chargeback/<str:month>/export/<str:form>/",
        views.chargeback_file,
        name="chargeback_file",
    ),
    path(
        "api/v1/chargeback/<str:month>/export/<str:form>/",
        api.ChargebackFile.as_view(),
        name="api_chargeback_file",
    ),
    path(
        "chargeback/statements/<slug:uid>/export/<str:form>/",
        views.statement_file,
        name="statement_file",
    ),
    path(
        "api/v1/chargeback/statements/<slug:uid>/export/<str:form>/",
        api.StatementFile.as_view(),
        name="api_statement_file",
    ),
]
