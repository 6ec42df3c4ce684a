"""Pages of costs and prices."""

from django.urls import URLPattern, URLResolver, path

from finops.views import costs, price_import, prices, rerating, what_if

urlpatterns: list[URLPattern | URLResolver] = [
    path("costs/", costs.costs, name="costs"),
    path("costs/prices/", prices.prices, name="prices"),
    path("costs/prices/import/", price_import.price_import, name="price_import"),
    path("costs/prices/export/", price_import.price_export, name="price_export"),
    path("costs/unrated/", rerating.unrated_usage, name="unrated"),
    path("costs/rerate/", rerating.rerate_usage, name="rerate"),
    path("costs/what-if/", what_if.what_if, name="what_if"),
    path("costs/prices/set/", prices.price_set, name="price_set"),
]
