"""Pages and API of this app."""

from django.urls import URLPattern, URLResolver, path

from policy.views import session

urlpatterns: list[URLPattern | URLResolver] = [
    path("sign-in/", session.sign_in, name="sign_in"),
    path("sign-out/", session.sign_out, name="sign_out"),
]
