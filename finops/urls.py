"""Pages of costs and prices."""

from django.urls import URLPattern, URLResolver, include, path

from finops import export_urls, report_urls
from finops.api import platform as api_platform
from finops.api import rates as api_rates
from finops.api import rerating as api_rerating
from finops.budget_urls import urlpatterns as budget_urls
from finops.views import (
    costs,
    movers,
    platform,
    price_import,
    prices,
    rates,
    rerating,
    what_if,
)

urlpatterns: list[URLPattern | URLResolver] = [
    *budget_urls,
    path("", include("finops.chargeback_urls")),
    path("costs/", costs.costs, name="costs"),
    path("costs/movers/", movers.cost_movers_page, name="cost_movers"),
    path("costs/prices/", prices.prices, name="prices"),
    path("costs/prices/import/", price_import.price_import, name="price_import"),
    path("costs/prices/export/", price_import.price_export, name="price_export"),
    path("costs/rates/", rates.rates, name="rates"),
    path("costs/rates/set/", rates.rate_set, name="rate_set"),
    path("costs/rates/export/", rates.rate_export, name="rate_export"),
    path("api/v1/costs/rates/", api_rates.RateList.as_view(), name="api_rates"),
    path("costs/platform/", platform.platform_costs, name="platform_costs"),
    path("costs/platform/set/", platform.platform_cost_set, name="platform_cost_set"),
    path(
        "costs/platform/<int:pk>/end/",
        platform.platform_cost_end,
        name="platform_cost_end",
    ),
    path(
        "costs/platform/export/",
        platform.platform_cost_export,
        name="platform_cost_export",
    ),
    path(
        "api/v1/costs/platform/",
        api_platform.PlatformCosts.as_view(),
        name="api_platform_costs",
    ),
    *report_urls.urlpatterns,
    *export_urls.urlpatterns,
    path("costs/unrated/", rerating.unrated_usage, name="unrated"),
    path("costs/rerate/", rerating.rerate_usage, name="rerate"),
    path("costs/rerate/<slug:uid>/", rerating.rerating, name="rerating"),
    path(
        "costs/rerate/<slug:uid>/export/",
        rerating.rerating_export,
        name="rerating_export",
    ),
    path(
        "api/v1/costs/rerate/", api_rerating.RerateLook.as_view(), name="api_reratings"
    ),
    path(
        "api/v1/costs/rerate/<slug:uid>/",
        api_rerating.RerateDetail.as_view(),
        name="api_rerating",
    ),
    path(
        "api/v1/costs/rerate/<slug:uid>/apply/",
        api_rerating.RerateApply.as_view(),
        name="api_rerating_apply",
    ),
    path("costs/what-if/", what_if.what_if, name="what_if"),
    path("costs/prices/set/", prices.price_set, name="price_set"),
]
