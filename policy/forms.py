"""What people may send to the pages of this app; forms only validate."""

from typing import Any

from django import forms


class TollgateForm(forms.Form):
    """A form whose controls look like the rest of the page."""

    required_css_class = "required"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            widget = field.widget
            if isinstance(widget, forms.CheckboxInput | forms.CheckboxSelectMultiple):
                kind = "form-check-input"
            elif isinstance(widget, forms.Select):
                kind = "form-select"
            else:
                kind = "form-control"
            widget.attrs.setdefault("class", kind)


class SignInForm(TollgateForm):
    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none"}
        ),
    )
    password = forms.CharField(
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
