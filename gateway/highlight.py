"""Code as lines of safe HTML: CSS classes only, nothing of the code is trusted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments import lex
from pygments.formatters import HtmlFormatter
from pygments.lexers import (
    JsonLexer,
    PythonLexer,
    TypeScriptLexer,
)

_LEXERS = {
    "python": PythonLexer(stripnl=False),
    "typescript": TypeScriptLexer(stripnl=False),
    "json": JsonLexer(stripnl=False),
}
# Colours help people who read a script, not those who are sent a megabyte of it.
_LONGEST_COLOURED = 60_000
# Characters that reorder or hide text (Trojan Source, CVE-2021-42574), and controls.
_DECEPTIVE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of code; ``marked`` where an error points at it."""

    number: int
    html: SafeString
    marked: bool


def visible(text: str) -> str:
    """The text with every character that could hide or reorder it spelled out."""
    clean = text.replace("\r\n", "\n").replace("\r", "\n")
    return _DECEPTIVE.sub(lambda match: f"\\u{ord(match.group()):04x}", clean)


@lru_cache(maxsize=256)
def _lines(code: str, language: str) -> tuple[SafeString, ...]:
    text = visible(code).removesuffix("\n")
    lexer = _LEXERS.get(language)
    if lexer is None or len(text) > _LONGEST_COLOURED:
        return tuple(SafeString(escape(line)) for line in text.split("\n"))
    # The formatter escapes every token and writes each line's own spans.
    formatter = HtmlFormatter(nowrap=True)
    pieces: list[str] = []
    formatter.format(lex(text, lexer), _Sink(pieces))
    html = "".join(pieces).removesuffix("\n")
    return tuple(mark_safe(line) for line in html.split("\n"))  # noqa: S308


class _Sink:
    def __init__(self, pieces: list[str]):
        self._pieces = pieces

    def write(self, text: str) -> None:
        self._pieces.append(text)


def lines(
    code: str, language: str = "python", *, marked: Iterable[int] = ()
) -> tuple[Line, ...]:
    """``code`` line by line, highlighted where the language is known."""
    errors = frozenset(marked)
    return tuple(
        Line(number, html, number in errors)
        for number, html in enumerate(_lines(code, language), start=1)
    )
