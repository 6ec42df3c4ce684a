"""Forms that look like the rest of the page, and how a page tries one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django import forms
from django.http import HttpRequest, QueryDict

from core.errors import TollgateError


class TollgateForm(forms.Form):
    """A form whose controls look like the rest of the page."""

    required_css_class = "required"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            widget = field.widget
            if isinstance(widget, forms.CheckboxSelectMultiple):
                continue
            if isinstance(widget, forms.CheckboxInput):
                kind = "form-check-input"
            elif isinstance(widget, forms.Select):
                kind = "form-select"
            else:
                kind = "form-control"
            widget.attrs.setdefault("class", kind)


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


def errors_in_words(errors: Mapping[str, Iterable[object]]) -> str:
    """What is wrong with each field, in one line for who sees no form."""
    return "; ".join(
        f"{name}: {' '.join(map(str, said))}" for name, said in errors.items()
    )
