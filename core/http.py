"""Answers for failures: a page for people, JSON for programs, a part for htmx."""

import logging
import sys
from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render, resolve_url
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from core.errors import Denied, NotFound, TollgateError, Unavailable
from core.outage import RETRY_SECONDS, outage

log = logging.getLogger("tollgate.http")

_HEADINGS = {
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    422: "This cannot be used as it is",
    429: "Too much at once",
    503: "Not available just now",
}


def wants_json(request: HttpRequest) -> bool:
    """Whether a program asks: an API path, or JSON preferred over a page."""
    if request.path.startswith("/api/"):
        return True
    preferred = request.get_preferred_type(["text/html", "application/json"])
    return preferred == "application/json"


def is_partial(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of a page (not for a page it will show whole)."""
    return request.headers.get("HX-Request") == "true"


def error_body(
    code: str, message: str, details: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """The one shape of every error of the REST API."""
    return {"error": {"code": code, "message": message, "details": details}}


def answer(request: HttpRequest, error: TollgateError) -> HttpResponse:
    """The response that shows ``error`` to whoever asked."""
    if wants_json(request):
        return JsonResponse(
            error_body(error.code, error.message, error.details), status=error.status
        )
    template = "errors/detail.html" if is_partial(request) else "errors/error.html"
    return render(
        request,
        template,
        {
            "heading": _HEADINGS.get(error.status, "This did not work"),
            "code": error.code,
            "message": error.message,
            "details": error.details,
        },
        status=error.status,
    )


class ErrorMiddleware:
    """Renders TollgateError and Http404, and marks pages that answer htmx in part."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.get("Content-Type", "").startswith("text/html"):
            patch_vary_headers(response, ["HX-Request"])
        if is_partial(request) and _leads_to_sign_in(response):
            # A sign-in form inside a part of a page would be of no use.
            return HttpResponse(headers={"HX-Redirect": response["Location"]})
        return response

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        if isinstance(exception, TollgateError):
            if exception.status >= 500:
                log.error("%s %s: %s", request.method, request.path, exception)
            return answer(request, exception)
        if isinstance(exception, Http404):
            return not_found(request, exception)
        return None


def _leads_to_sign_in(response: HttpResponse) -> bool:
    return response.status_code == 302 and response["Location"].startswith(
        resolve_url("sign_in")
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404 of an address that leads nowhere (``handler404``)."""
    return answer(
        request,
        NotFound(
            "There is nothing at this address, or you may not see it. "
            "Check the address, or start from the navigation."
        ),
    )


def denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 of Django's own checks (``handler403``)."""
    return answer(
        request, Denied("This is not allowed. Ask an administrator of your team.")
    )


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid token (``CSRF_FAILURE_VIEW``)."""
    return answer(
        request,
        Denied(
            "This form was open for too long or came from elsewhere, so nothing was "
            "changed. Go back, load the page again and send it once more.",
            details={"reason": reason},
        ),
    )


def broken(request: HttpRequest) -> HttpResponse:
    """500: depends on nothing that may be broken itself (``handler500``).

    A database that is away or full is nobody's mistake: 503, and what to do.
    """
    request_id = getattr(request, "request_id", "unknown")
    if error := outage(sys.exception()):
        return _away(request, error, request_id)
    message = f"Tollgate could not answer. Give an administrator the id {request_id}."
    if wants_json(request):
        return JsonResponse(error_body("internal", message, {}), status=500)
    page = render_to_string("errors/broken.html", {"request_id": request_id})
    return HttpResponse(page, status=500)


def _away(request: HttpRequest, error: Unavailable, request_id: str) -> HttpResponse:
    response: HttpResponse
    if wants_json(request):
        body = error_body(error.code, error.message, error.details)
        response = JsonResponse(body, status=error.status)
    else:
        context = {"message": error.message, "request_id": request_id}
        page = render_to_string("errors/unavailable.html", context)
        response = HttpResponse(page, status=error.status)
    response["Retry-After"] = str(RETRY_SECONDS)
    return response
