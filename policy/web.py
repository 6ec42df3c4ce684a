"""What every page view starts with: the typed request and its access line."""

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from audit.web import actor_of, refuse, requires
from policy.access import Access
from policy.models import User

__all__ = ["Request", "actor_of", "refuse", "requires"]


class Request(HttpRequest):
    """A request of a signed-in person, as the middleware leaves it."""

    access: Access
    request_id: str
    htmx: HtmxDetails
    user: User
