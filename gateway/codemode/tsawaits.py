"""Tool calls in TypeScript whose `await` was certainly forgotten."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.codemode.tscalls import Unclear, end_of_call, token_at
from gateway.codemode.tstokens import IDENTIFIER, OTHER, STRING, Token

_DOTS = frozenset((".", "?."))
_DECLARING = frozenset(("const", "let", "var"))
# What a promise has itself.
_OF_PROMISES = frozenset(
    {"then", "catch", "finally", "constructor", "toString", "toLocaleString"}
    | {"valueOf", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable"}
)
# Around a name these may give it another meaning.
_BEFORE_BINDING = frozenset(
    {"const", "let", "var", "function", "class", "import", "as", "catch", "enum"}
    | {"type", "interface", "namespace", ":", "*", "..."}
)
_GLOBALS = frozenset(("console", "process", "performance", "crypto", "globalThis"))
_AROUND_BINDING = frozenset("(,{[")
_AFTER_BINDING = frozenset(("=", "=>", ":", "("))
_ENDING_BINDING = frozenset((")", ",", "}", "]", "?"))


@dataclass(frozen=True, slots=True)
class Made:
    """A call: the tokens from ``first`` up to, without, ``after``; what it calls."""

    first: int
    after: int
    name: str


def forgotten(tokens: Sequence[Token], calls: Sequence[Made]) -> Iterator[Made]:
    """Those whose promise is used as if it were the result, whatever else happens."""
    look = _Look(tokens)
    for call in () if look.patches_promises else calls:
        if look.is_used(call):
            yield call


class _Look:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._places: dict[str, list[int]] = {}
        for index, token in enumerate(tokens):
            if token.kind == IDENTIFIER:
                self._places.setdefault(token.text, []).append(index)

    @property
    def patches_promises(self) -> bool:
        """Whether the script may give promises members of its own."""
        return "prototype" in self._places

    def _text(self, index: int) -> str:
        token = token_at(self._tokens, index)
        return "" if token.kind == STRING else token.text

    def is_used(self, call: Made) -> bool:
        """Whether a member, a loop, a condition or a pattern takes the promise."""
        if self._takes_member(call.after):
            return True
        before = self._text(call.first - 1)
        if self._text(call.after) == ")" and before in {"of", "(", "!"}:
            return self._is_looped(call.first) or self._is_tested(call.first)
        if before != "=" or not self._ends(call.after):
            return False
        return self._is_unpacked(call.first - 2) or self._is_kept(call.first - 2)

    def _takes_member(self, index: int) -> bool:
        """Whether what ends before ``index`` is asked for something it cannot have."""
        text, member = self._text(index), token_at(self._tokens, index + 1)
        if text in _DOTS and member.kind == IDENTIFIER:
            return member.text not in _OF_PROMISES
        return text == "[" and self._same_line(index - 1, index)

    def _is_looped(self, first: int) -> bool:
        """``for (const x of tools…)``; ``for await`` would be another matter."""
        return (
            self._text(first - 1) == "of"
            and self._text(first - 3) in _DECLARING
            and self._text(first - 4) == "("
            and self._text(first - 5) == "for"
        )

    def _is_tested(self, first: int) -> bool:
        place = first - 1 - (self._text(first - 1) == "!")
        return self._text(place) == "(" and self._text(place - 1) in {"if", "while"}

    def _ends(self, index: int) -> bool:
        """Whether a statement certainly ends before ``index``."""
        token = token_at(self._tokens, index)
        if token.text in {"", ";", "}"} and token.kind == OTHER:
            return True
        is_word = token.kind == IDENTIFIER
        is_joining = token.text in {"in", "of", "instanceof", "as", "satisfies"}
        return is_word and not is_joining and not self._same_line(index - 1, index)

    def _same_line(self, first: int, second: int) -> bool:
        return token_at(self._tokens, first).line == token_at(self._tokens, second).line

    def _is_unpacked(self, last: int) -> bool:
        """``const {a, b} = tools…``"""
        closing = self._text(last)
        opening = {"}": "{", "]": "["}.get(closing)
        if opening is None:
            return False
        place, depth = last, 0
        while place >= 0:
            depth += (self._text(place) == closing) - (self._text(place) == opening)
            if not depth:
                break
            place -= 1
        names = {self._text(index) for index in range(place, last)}
        return self._text(place - 1) in _DECLARING and not names & (
            _OF_PROMISES | {"...", "="}
        )

    def _is_kept(self, declared: int) -> bool:
        """``const rows = tools…`` where ``rows`` means this alone, and is used."""
        name = token_at(self._tokens, declared)
        if name.kind != IDENTIFIER or self._text(declared - 1) != "const":
            return False
        if name.text in _GLOBALS or name.text[0].isupper():
            return False
        uses = [
            place
            for place in self._places[name.text]
            if place != declared and self._text(place - 1) not in _DOTS
        ]
        if any(self._may_bind(use) or self._text(use + 3) == "=" for use in uses):
            return False
        return any(
            self._takes_member(place + 1)
            or (self._text(place + 1) == ")" and self._is_looped(place))
            for place in uses
        )

    def _may_bind(self, place: int) -> bool:
        before, after = self._text(place - 1), self._text(place + 1)
        if before in _BEFORE_BINDING or after in _AFTER_BINDING:
            return True
        return before in _AROUND_BINDING and after in _ENDING_BINDING


def made(tokens: Sequence[Token], first: int, bracket: int, name: str) -> Made | None:
    """The call whose arguments begin at ``bracket``; None where it is not closed."""
    try:
        return Made(first, end_of_call(tokens, bracket), name)
    except Unclear:
        return None
