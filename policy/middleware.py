"""Puts a person's access, a request id and the trace id on each request."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from core.ids import new_id
from core.trace import trace_id_of
from policy.access import access_of


class AccessMiddleware:
    """Sets ``request.access`` (lazily, one query), ``request_id`` and ``trace_id``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = new_id("req")  # type: ignore[attr-defined]
        request.trace_id = trace_id_of(  # type: ignore[attr-defined]
            request.headers.get("traceparent", "")
        )
        request.access = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: access_of(request.user)
        )
        response = self.get_response(request)
        response["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response
