"""Cuts TypeScript into tokens, as far as a check of names needs them."""

import re
from dataclasses import dataclass

IDENTIFIER, STRING, OTHER = "identifier", "string", "other"

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n]*|/\*.*?\*/)
    | (?P<identifier>[A-Za-z_$][\w$]*)
    | (?P<number>\d[\w.]*)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<other>\?\.(?!\d)|=>|\.\.\.|==+|!==?|[-+*%&|^<>!~?:;,.=(){}\[\]@#/`\\])
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*")
_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*(`|\$\{)", re.DOTALL)
# After one of these a slash begins a regular expression; after others it divides.
_BEFORE_REGEX = frozenset((*"(,=:[!&|?{};+-*%<>~^", "=>", "..."))
_WORDS_BEFORE_REGEX = frozenset(
    ("return", "typeof", "case", "in", "of", "await", "yield", "else", "do", "void")
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a literal or a sign, and where it begins."""

    kind: str
    text: str
    position: int


class _Unclear(Exception):
    """Only a real parser can tell what this is."""


def tokenize(code: str) -> list[Token] | None:
    """All tokens but space and comments; None where that is not certain.

    Templates and regular expressions count as strings; what stands in `${…}` is
    cut as well.
    """
    try:
        return _Cutter(code).cut()
    except _Unclear:
        return None


class _Cutter:
    def __init__(self, code: str) -> None:
        self._code = code
        self._at = 0
        self._tokens: list[Token] = []
        # For each template that is open, how many braces are within its `${`.
        self._braces: list[int] = []

    def cut(self) -> list[Token]:
        while self._at < len(self._code):
            match = _TOKEN.match(self._code, self._at)
            if match is None:
                raise _Unclear
            kind, text = str(match.lastgroup), match.group()
            if kind == "space":
                self._at = match.end()
            elif text == "`":
                self._template(self._at + 1)
            elif text == "/" and self._may_be_regex():
                self._regex()
            else:
                self._add(OTHER if kind == "number" else kind, text)
                self._at = match.end()
                self._count_braces(text)
        if self._braces:
            raise _Unclear
        return self._tokens

    def _add(self, kind: str, text: str) -> None:
        self._tokens.append(Token(kind, text, self._at))

    def _may_be_regex(self) -> bool:
        if not self._tokens:
            return True
        last = self._tokens[-1]
        if last.kind == IDENTIFIER:
            return last.text in _WORDS_BEFORE_REGEX
        return last.kind == OTHER and last.text in _BEFORE_REGEX

    def _regex(self) -> None:
        match = _REGEX.match(self._code, self._at)
        if match is None:
            raise _Unclear
        self._add(STRING, match.group())
        self._at = match.end()

    def _template(self, start: int) -> None:
        match = _TEMPLATE.match(self._code, start)
        if match is None:
            raise _Unclear
        self._add(STRING, "`")
        self._at = match.end()
        if match.group(1) == "${":
            self._braces.append(0)

    def _count_braces(self, text: str) -> None:
        if not self._braces:
            return
        if text == "{":
            self._braces[-1] += 1
        elif text == "}" and self._braces[-1]:
            self._braces[-1] -= 1
        elif text == "}":
            self._braces.pop()
            self._tokens.pop()
            self._template(self._at)
