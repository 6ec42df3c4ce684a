"""Filters and tags that every template may use."""

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template
from django.template.context import RenderContext
from django.template.loader_tags import BLOCK_CONTEXT_KEY, BlockContext
from django.utils.html import format_html, strip_tags
from django.utils.safestring import SafeString, mark_safe
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from core import clock
from core import money as _money
from core.templatetags.icons import icon

register = template.Library()
register.simple_tag(icon)

# What a status word says at a glance. Red is for what needs a person.
_TONES = {
    "good": "succeeded approved used ok active up allow confirmed enabled closed on "
    "delivered passed verified accepted issued credited adjusted",
    "busy": "queued running pending draft reserved proposed expiring estimated review",
    "bad": "failed deny denied down error refused unknown tool_error broken disputed "
    "awaiting_outcome dead withheld",
    "quiet": "cancelled revoked expired disabled invalid removed off measured reported "
    "skipped unchecked",
    "read": "read",
    "careful": "idempotent_write awaiting_approval",
    "write": "write",
}
_TONE_OF = {word: tone for tone, words in _TONES.items() for word in words.split()}


@register.filter
def seconds(value: float | None) -> str:
    """A duration in the unit that fits: 840 µs, 12 ms, 3.4 s, 2 min 5 s."""
    if value is None:
        return "–"
    if value < 0.001:
        return f"{value * 1_000_000:.0f} µs"
    if value < 1:
        return f"{value * 1_000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


@register.filter
def money(value: Decimal | str | None, currency: str = "") -> str:
    """An amount as people read it; "unrated" where no price is known."""
    if value is None:
        return "unrated"
    return f"{_money.show(Decimal(value))} {currency}".strip()


@register.filter
def exact(value: Decimal) -> str:
    """All digits of an amount or quantity."""
    return _money.plain(value)


@register.filter
def signed_money(value: Decimal) -> str:
    """A change of an amount, with its sign."""
    return _money.signed(value)


@register.filter
def utc(value: datetime | None) -> str:
    """A point in time with its zone named."""
    return f"{value:%Y-%m-%d %H:%M:%S} UTC" if value else "–"


@register.filter
def percent(value: float | None) -> str:
    """A share of 1 as a percentage."""
    return "–" if value is None else f"{value * 100:.1f} %"


@register.filter
def size(value: int | None) -> str:
    """Bytes in the unit that fits."""
    if value is None:
        return "–"
    amount = float(value)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            break
        amount /= 1000
    return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"


@register.filter
def pretty(value: Any) -> str:
    """JSON with line breaks, as people read it."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.simple_tag
def when(value: datetime | None, *, absent: str = "never") -> SafeString:
    """A time as people say it ("3 min ago"), with the exact one as its title."""
    if value is None:
        return format_html('<span class="text-secondary">{}</span>', absent)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.isoformat(),
        utc(value),
        _ago((clock.now() - value).total_seconds(), value),
    )


def _ago(elapsed: float, value: datetime) -> str:
    distance = abs(elapsed)
    if distance < 45:
        return "just now"
    for limit, unit, one in ((3570, "min", 60), (84_600, "h", 3600)):
        if distance < limit:
            count = max(1, round(distance / one))
            return f"{count} {unit} ago" if elapsed > 0 else f"in {count} {unit}"
    days = round(distance / 86_400)
    if days <= 30:
        text = f"{days} day{'' if days == 1 else 's'}"
        return f"{text} ago" if elapsed > 0 else f"in {text}"
    return f"{value:%Y-%m-%d}"


@register.simple_tag
def badge(value: str, label: str = "") -> SafeString:
    """A status in words, coloured by what it means."""
    tone = _TONE_OF.get(str(value), "quiet")
    text = label or str(value).replace("_", " ")
    return format_html('<span class="tg-badge tg-badge-{}">{}</span>', tone, text)


@register.simple_tag
def code(text: str, language: str = "text", *, lines: bool = False) -> SafeString:
    """Highlighted source. The colours are classes in code.css; unknown is plain."""
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        lexer = get_lexer_by_name("text", stripnl=False)
    formatter = HtmlFormatter(
        nowrap=not lines,
        linenos="inline" if lines else False,
        lineanchors="line" if lines else "",
        cssclass="tg-code-lines",
        wrapcode=False,
    )
    marked: SafeString = mark_safe(  # noqa: S308 - Pygments escapes
        highlight(text, lexer, formatter)
    )
    if lines:
        return marked
    return format_html(
        '<pre class="tg-code" tabindex="0"><code>{}</code></pre>', marked
    )


@register.simple_tag(takes_context=True)
def block_text(context: template.Context, name: str) -> str:
    """The words of a block that is written further down, for the page's <title>."""
    render_context: RenderContext = context.render_context
    blocks: BlockContext | None = render_context.get(BLOCK_CONTEXT_KEY)
    block = blocks.get_block(name) if blocks else None
    if block is None:
        return ""
    with context.push():
        return " ".join(strip_tags(block.render(context)).split())


@register.filter
def value_of(mapping: Mapping[str, Any], key: str) -> Any:
    """The value under a key that is itself a variable."""
    return mapping.get(key, "")
