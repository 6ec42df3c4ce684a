"""Links from anywhere into the explorer."""

from urllib.parse import urlencode

from django import template
from django.urls import reverse

from audit.query import term

register = template.Library()


@register.simple_tag
def asked(qualifier: str, value: str, kind: str = "") -> str:
    """The explorer with every event of one value; a target is named with its kind."""
    text = f"{kind}/{value}" if kind else value
    query = urlencode({"q": str(term(qualifier, text)), "period": "all"})
    return f"{reverse('audit')}?{query}"
