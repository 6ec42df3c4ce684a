"""The URL map."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("gateway.urls")),
    path("", include("finops.urls")),
    path("", include("policy.urls")),
    path("", include("audit.urls")),
]

handler403 = "core.http.denied"
handler404 = "core.http.not_found"
handler500 = "core.http.broken"
