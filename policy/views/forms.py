"""How a page tries a form: valid input, then the service, errors where they belong."""

from collections.abc import Callable

from django import forms
from django.http import HttpRequest, QueryDict

from core.errors import TollgateError


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: what was sent, even when that is nothing at all."""
    return request.POST if request.method == "POST" else None


def attempt(form: forms.Form, act: Callable[[], object]) -> bool:
    """Whether ``act`` was done; if not, the form says why (answer with 422)."""
    if not form.is_valid():
        return False
    try:
        act()
    except TollgateError as error:
        if error.status >= 500:
            raise
        form.add_error(None, error.message)
        return False
    return True
