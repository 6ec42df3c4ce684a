"""What every page's frame needs."""

from typing import Any

from django.http import HttpRequest


def navigation(request: HttpRequest) -> dict[str, Any]:
    """The person's access, for the navigation."""
    return {"access": getattr(request, "access", None)}
