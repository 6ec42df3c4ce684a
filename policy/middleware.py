"""Puts a person's access and a request id on each request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from core.ids import new_id
from policy.access import access_of


class AccessMiddleware:
    """Sets ``request.access`` (lazily, one query) and ``request.request_id``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = new_id("req")  # type: ignore[attr-defined]
        request.access = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: access_of(request.user)
        )
        response = self.get_response(request)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response
