"""Pages of costs and prices."""

from django.urls import URLPattern, URLResolver, path

from finops.views import costs, prices

urlpatterns: list[URLPattern | URLResolver] = [
    path("costs/", costs.costs, name="costs"),
    path("costs/prices/", prices.prices, name="prices"),
    path("costs/prices/set/", prices.price_set, name="price_set"),
]
