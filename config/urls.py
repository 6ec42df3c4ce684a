"""The URL map."""

from django.urls import URLPattern, URLResolver, include, path

from gateway.views import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("", include("gateway.urls")),
    path("", include("finops.urls")),
    path("", include("policy.urls")),
    path("", include("audit.urls")),
]

handler403 = "core.http.denied"
handler404 = "core.http.not_found"
handler500 = "core.http.broken"
