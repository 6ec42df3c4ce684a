"""Reads the arguments of a call in TypeScript, as far as they are certain."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.codemode.callcheck import NO_LITERAL, Arguments
from gateway.codemode.tstokens import IDENTIFIER, OTHER, STRING, Token

_NUMBER = re.compile(r"(?:0|[1-9]\d*(?:_\d+)*)(?:\.\d+)?\Z")
_WORDS = {"true": True, "false": False, "null": None}
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_IN_TYPES = frozenset(".,<>[]{}:;")
# Keys that mean something else to JSON.
_SPECIAL_KEYS = frozenset(("__proto__", "toJSON"))
# Where one of these stands, an expression may be undefined.
_UNDEFINED = frozenset(("undefined", "void", "?", "?."))
# Integers beyond this are rounded on their way.
_MOST_EXACT = 2**53
_MAX_DEPTH = 50
_NOTHING = Token(OTHER, "", 0)


@dataclass(frozen=True, slots=True)
class Value:
    """An argument's expression: where it begins, and its value if it is a literal.

    JSON leaves out what is undefined: ``doubtful`` says that this may be.
    """

    token: Token
    value: Any = NO_LITERAL
    doubtful: bool = False


class Unclear(Exception):
    """Only a real parser can tell what this is."""


def token_at(tokens: Sequence[Token], index: int) -> Token:
    """The token there, or an empty one beyond the ends."""
    return tokens[index] if 0 <= index < len(tokens) else _NOTHING


def end_of_call(tokens: Sequence[Token], index: int) -> int:
    """The index after the bracket that closes the one at ``index``. Raises Unclear."""
    depth = 0
    for place in range(index, len(tokens)):
        token = tokens[place]
        if token.kind != OTHER:
            continue
        if token.text in _OPENING:
            depth += 1
        elif token.text in _CLOSING:
            depth -= 1
        if not depth:
            return place + 1
    raise Unclear


def read_arguments(tokens: Sequence[Token], index: int) -> Arguments[Value]:
    """The one object of named arguments that begins at ``index``, within the call.

    What is not certain makes them open, with nothing known about them.
    """
    try:
        return _Reader(tokens).arguments(index)
    except Unclear:
        return Arguments({}, open=True)


class _Reader:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens

    def _text(self, index: int) -> str:
        """A sign or a word; a string's text is never taken for one."""
        token = token_at(self._tokens, index)
        return "" if token.kind == STRING else token.text

    def arguments(self, index: int) -> Arguments[Value]:
        if self._text(index) == ")":
            return Arguments({}, open=False)
        if self._text(index) == "{":
            given, after = self._named(index)
            if self._ends_call(after) or self._is_cast(after):
                return given
            raise Unclear
        value, after = self._literal(index)
        if not self._ends_call(after):
            raise Unclear
        place = Value(token_at(self._tokens, index), value)
        return Arguments({}, open=True, positional=place)

    def _ends_call(self, index: int) -> bool:
        return self._text(index) == ")" or (
            self._text(index) == "," and self._text(index + 1) == ")"
        )

    def _is_cast(self, index: int) -> bool:
        """Whether only a simple type, as in ``as Filter``, is left of the argument."""
        if self._text(index) not in {"as", "satisfies"}:
            return False
        depth, was_word = 0, False
        for place in range(index + 1, len(self._tokens)):
            token, text = self._tokens[place], self._text(place)
            if text == ")":
                return depth == 0
            is_word = token.kind != OTHER or text[:1].isdigit()
            if (is_word and was_word) or not (is_word or text in _IN_TYPES):
                return False
            if text == "," and not depth:
                return False
            depth += (text in {"<", "[", "{"}) - (text in {">", "]", "}"})
            was_word = is_word
        return False

    def _named(self, index: int) -> tuple[Arguments[Value], int]:
        """An object literal: its members, and what comes after it."""
        values: dict[str, Value] = {}
        is_open = False
        index += 1
        while self._text(index) != "}":
            if self._text(index) in {"...", "["}:
                # It may replace what stands before it.
                values = {
                    name: Value(one.token, doubtful=True)
                    for name, one in values.items()
                }
                is_open = True
                index = self._after_expression(index + (self._text(index) == "..."))
            else:
                name, value, index = self._member(index)
                values[name] = value
            index = self._after_comma(index)
        doubtful = frozenset(name for name, one in values.items() if one.doubtful)
        return Arguments(values, is_open, doubtful=doubtful), index + 1

    def _after_comma(self, index: int) -> int:
        if self._text(index) == ",":
            return index + 1
        if self._text(index) == "}":
            return index
        raise Unclear

    def _member(self, index: int) -> tuple[str, Value, int]:
        token, after = token_at(self._tokens, index), self._text(index + 1)
        name = self._key(token)
        if token.kind == IDENTIFIER and after in {",", "}"}:
            return name, Value(token), index + 1
        if after != ":":
            raise Unclear
        begins = token_at(self._tokens, index + 2)
        try:
            value, end = self._literal(index + 2)
        except Unclear:
            return name, *self._expression(index + 2)
        if self._text(end) == "as" and self._text(end + 1) == "const":
            end += 2
        if self._text(end) not in {",", "}"}:
            return name, *self._expression(index + 2)
        return name, Value(begins, value), end

    def _expression(self, index: int) -> tuple[Value, int]:
        end = self._after_expression(index)
        words = {self._text(place) for place in range(index, end)}
        return Value(self._tokens[index], doubtful=bool(words & _UNDEFINED)), end

    def _key(self, token: Token) -> str:
        name = token.text
        if token.kind == STRING:
            name = self._string(token)
        elif token.kind != IDENTIFIER:
            raise Unclear
        if name in _SPECIAL_KEYS:
            raise Unclear
        return name

    def _string(self, token: Token) -> str:
        if token.text[0] not in "\"'" or "\\" in token.text:
            raise Unclear
        return token.text[1:-1]

    def _after_expression(self, index: int) -> int:
        """The comma or brace that ends the expression at ``index``."""
        start = index
        while self._text(index) not in {",", "}"}:
            if self._text(index) in _OPENING:
                index = end_of_call(self._tokens, index)
            elif index >= len(self._tokens) or self._text(index) in _CLOSING:
                raise Unclear
            else:
                index += 1
        if index == start:
            raise Unclear
        return index

    def _literal(self, index: int, depth: int = 0) -> tuple[Any, int]:
        """A JSON value and what comes after it. Raises Unclear for all else."""
        token, text = token_at(self._tokens, index), self._text(index)
        if depth > _MAX_DEPTH:
            raise Unclear
        if token.kind == STRING:
            return self._string(token), index + 1
        if text in _WORDS:
            return _WORDS[text], index + 1
        if text == "-":
            return -_number(self._text(index + 1)), index + 2
        if text == "[":
            return self._list(index, depth)
        if text == "{":
            return self._object(index, depth)
        return _number(text), index + 1

    def _list(self, index: int, depth: int) -> tuple[Any, int]:
        found: list[Any] = []
        index += 1
        while self._text(index) != "]":
            value, index = self._literal(index, depth + 1)
            found.append(value)
            if self._text(index) == ",":
                index += 1
            elif self._text(index) != "]":
                raise Unclear
        return found, index + 1

    def _object(self, index: int, depth: int) -> tuple[Any, int]:
        found: dict[str, Any] = {}
        index += 1
        while self._text(index) != "}":
            name = self._key(token_at(self._tokens, index))
            if self._text(index + 1) != ":":
                raise Unclear
            found[name], index = self._literal(index + 2, depth + 1)
            index = self._after_comma(index)
        return found, index + 1


def _number(text: str) -> float:
    if not _NUMBER.match(text):
        raise Unclear
    value = float(text.replace("_", ""))
    if value > _MOST_EXACT:
        raise Unclear
    # 2.0 is 2 on its way.
    return int(value) if value.is_integer() else value
