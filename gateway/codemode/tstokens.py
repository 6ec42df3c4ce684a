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
_BEFORE_REGEX = frozenset(
    ("", *"(,=:[!&|?{;+-*%<>~^", "=>", "...", "==", "===", "!=", "!==")
)
_WORDS_BEFORE_REGEX = frozenset(
    ("return", "typeof", "case", "in", "of", "await", "yield", "else", "do", "void")
)
_HEADS = frozenset(("if", "while", "for", "with"))
_DOTS = frozenset((".", "?."))


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a literal or a sign, and where it begins; lines count from 1."""

    kind: str
    text: str
    position: int
    line: int = 0


_NOTHING = Token(OTHER, "", 0)


def _is_value(token: Token) -> bool:
    return token.kind != OTHER or token.text in {")", "]", "}"}


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
        self._line, self._counted = 1, 0
        # For each bracket that is open, whether it belongs to `if` and the like.
        self._heads: list[bool] = []
        self._ends_head = False
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
                self._count_brackets(text)
                self._add(OTHER if kind == "number" else kind, text)
                self._at = match.end()
                self._count_braces(text)
        if self._braces:
            raise _Unclear
        return self._tokens

    def _add(self, kind: str, text: str) -> None:
        self._line += self._code.count("\n", self._counted, self._at)
        self._counted = self._at
        self._tokens.append(Token(kind, text, self._at, self._line))

    def _last(self, back: int = 1) -> Token:
        return self._tokens[-back] if len(self._tokens) >= back else _NOTHING

    def _may_be_regex(self) -> bool:
        last, before = self._last(), self._last(2)
        if last.kind == IDENTIFIER:
            return last.text in _WORDS_BEFORE_REGEX and before.text not in _DOTS
        if last.text == ")":
            return self._ends_head
        # After a block or an object, `x++` or `x!` it takes more to tell.
        is_postfix = last.text in {"+", "-"} and before.text == last.text
        if last.text == "}" or is_postfix or (last.text == "!" and _is_value(before)):
            raise _Unclear
        return last.kind == OTHER and last.text in _BEFORE_REGEX

    def _count_brackets(self, text: str) -> None:
        if text == "(":
            last = self._last()
            is_head = last.kind == IDENTIFIER and last.text in _HEADS
            self._heads.append(is_head and self._last(2).text not in _DOTS)
        elif text == ")":
            self._ends_head = bool(self._heads) and self._heads.pop()

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
