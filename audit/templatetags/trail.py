"""Links from anywhere into the explorer."""

from django import template

from audit.history import trail_url
from audit.query import term

register = template.Library()


@register.simple_tag
def asked(qualifier: str, value: object, kind: str = "") -> str:
    """The explorer with every event of one value; a target is named with its kind."""
    text = f"{kind}/{value}" if kind else str(value)
    return trail_url((term(qualifier, text),))
