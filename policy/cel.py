"""Conditions in CEL: compiled once, checked and bounded before they are evaluated.

The library evaluates without a time limit, and everything in ``args`` was chosen by a
script. So a condition is refused at compile time where its cost could grow beyond a
low power of what it is given, and at evaluation where it is given too much.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import cel
from jsonschema_rs import RegexOptions, validator_for

from policy.paths import Path

LONGEST = 2_000
FIELDS: dict[str, tuple[str, ...]] = {
    "principal": ("team", "environment", "key", "kind", "roles", "label"),
    "tool": ("name", "server", "effect", "tags"),
    "run": ("id", "mode", "language", "calls"),
}
VARIABLES = ("args", *FIELDS, "now")
MACROS = frozenset({"all", "exists", "exists_one", "existsOne"})
_OF_TIMES = (
    "getFullYear",
    "getMonth",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
)
_OF_TEXTS = ("contains", "startsWith", "endsWith", "matches", "size")
_CONVERT = ("string", "int", "uint", "double", "bytes", "type", "dyn")
FUNCTIONS = frozenset(
    {*_OF_TEXTS, *_CONVERT, *_OF_TIMES, "has", "timestamp", "duration"}
)
_DEEPEST_BRACKETS = 20
_DEEPEST_MACROS = 2
_MOST_ADDITIONS = 10
_LONGEST_PATTERN = 500
_PATTERN_BYTES = 200_000
_MOST_VALUES = 20_000
# Turns of macros, each some microseconds; a pattern is compiled anew in each turn.
_MOST_TURNS = 1_000_000
_TURNS_OF_A_PATTERN = 50
_MOST_CHARACTERS = 2_000_000_000
_TOKEN = re.compile(
    r'(?P<string>[rRbB]{0,2}(?:"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\''
    r'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'))'
    r"|(?P<name>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|(?P<space>\s+|//[^\n]*)"
    r"|(?P<mark>.)",
    re.DOTALL,
)


class ConditionError(Exception):
    """A condition that cannot be compiled, or not be evaluated for this call."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition; ``turns`` bounds its cost for a number of values."""

    source: str
    program: cel.Program
    variables: frozenset[str]
    depth: int
    factor: int
    uses: tuple[Path, ...] = ()
    """Which arguments it reads."""

    def turns(self, values: int) -> int:
        """How often its innermost part may be evaluated."""
        return self.factor * values**self.depth if self.depth else self.factor


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


@lru_cache(maxsize=20_000)
def compile_condition(source: str) -> Condition:
    """Compile and check a condition. Raises ConditionError, which says what to do."""
    if len(source) > LONGEST:
        raise ConditionError(f"It has {len(source):,} characters; {LONGEST:,} is most.")
    tokens = list(_tokens(source))
    _check_shape(tokens)
    try:
        program = cel.compile(source)
        used = program.references()
    except ValueError as error:
        raise ConditionError(_syntax(str(error))) from None
    except BaseException as error:  # noqa: BLE001 - a panic of the library
        raise _unexpected(error) from None
    bound = _bound_names(tokens)
    _check_names(tokens, used, bound)
    depth, patterns = _depth(tokens), _check_patterns(tokens)
    return Condition(
        source,
        program,
        frozenset(used["variables"]) & frozenset(VARIABLES),
        depth,
        _TURNS_OF_A_PATTERN * patterns if patterns else 1,
        tuple(dict.fromkeys(_uses(tokens))),
    )


def _tokens(source: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(source):
        if match.lastgroup != "space":
            yield _Token(str(match.lastgroup), match[0])


def _check_shape(tokens: list[_Token]) -> None:
    deep = deepest = 0
    for token in tokens:
        if token.kind == "mark":
            deep += (token.text in "([{") - (token.text in ")]}")
            deepest = max(deepest, deep)
    if deepest > _DEEPEST_BRACKETS:
        raise ConditionError(
            f"Its brackets are {deepest} deep; {_DEEPEST_BRACKETS} is most."
        )
    additions = sum(token.kind == "mark" and token.text == "+" for token in tokens)
    if additions > _MOST_ADDITIONS:
        raise ConditionError(
            f"It adds {additions} times; {_MOST_ADDITIONS} is most, since joined texts "
            "and lists grow."
        )


def _calls(tokens: list[_Token]) -> Iterator[tuple[int, str, bool]]:
    """Where a name is called: its index, the name, and whether on something."""
    for index, token in enumerate(tokens[:-1]):
        if token.kind == "name" and tokens[index + 1].text == "(":
            yield index, token.text, index > 0 and tokens[index - 1].text == "."


def _bound_names(tokens: list[_Token]) -> frozenset[str]:
    return frozenset(
        tokens[index + 2].text
        for index, name, method in _calls(tokens)
        if method and name in MACROS and index + 3 < len(tokens)
    )


def _check_names(
    tokens: list[_Token], used: Mapping[str, list[str]], bound: frozenset[str]
) -> None:
    for _, name, _method in _calls(tokens):
        if name in {"map", "filter"}:
            raise ConditionError(
                f"{name}() is not offered, since its cost grows with the square of "
                "the list: use exists(), all() or exists_one()."
            )
        if name not in FUNCTIONS and name not in MACROS and name != "in":
            raise ConditionError(
                f"There is no function {name}: use one of "
                f"{', '.join(sorted(FUNCTIONS | MACROS))}."
            )
    if shadowed := sorted(bound & {*VARIABLES, *FUNCTIONS}):
        raise ConditionError(f"{shadowed[0]} has a meaning already: take another name.")
    unknown = sorted(set(used["variables"]) - bound - set(VARIABLES))
    types = {"int", "uint", "double", "string", "bytes", "bool", "list", "map"}
    if unknown := [name for name in unknown if name not in types]:
        raise ConditionError(
            f"There is no {unknown[0]}: a condition knows {', '.join(VARIABLES)}. "
            f"An argument of the tool is args.{unknown[0]}."
        )
    for index, token in enumerate(tokens[:-2]):
        known = FIELDS.get(token.text)
        if token.kind != "name" or known is None or tokens[index + 1].text != ".":
            continue
        if index and tokens[index - 1].text == ".":
            continue
        if tokens[index + 2].text not in known:
            raise ConditionError(
                f"{token.text} has no {tokens[index + 2].text}: it has "
                f"{', '.join(known)}."
            )


def _uses(tokens: list[_Token]) -> Iterator[Path]:
    """The path of each mention of ``args``, as far as it is written out."""
    for index, token in enumerate(tokens):
        if token.text != "args" or (index and tokens[index - 1].text == "."):
            continue
        steps: list[str | int] = []
        rest = [one.text for one in tokens[index + 1 : index + 60]] + [""] * 4
        kinds = [one.kind for one in tokens[index + 1 : index + 60]] + [""] * 4
        while True:
            if rest[0] == "." and kinds[1] == "name" and rest[2] != "(":
                steps.append(rest[1])
                taken = 2
            elif rest[0] == "[" and kinds[1] == "string" and rest[2] == "]":
                steps.append(str(cel.evaluate(rest[1])))
                taken = 3
            elif rest[0] == "[" and rest[1].isdigit() and rest[2] == "]":
                steps.append(int(rest[1]))
                taken = 3
            else:
                break
            rest, kinds = rest[taken:], kinds[taken:]
        yield tuple(steps)


def _depth(tokens: list[_Token]) -> int:
    """To which power of the number of values the cost may grow."""
    inside: list[bool] = []
    deepest = searches = 0
    macros = {
        index + 1 for index, name, method in _calls(tokens) if method and name in MACROS
    }
    for index, token in enumerate(tokens):
        if token.kind == "mark" and token.text in "([{":
            inside.append(index in macros)
            deepest = max(deepest, sum(inside))
        elif token.kind == "mark" and token.text in ")]}" and inside:
            inside.pop()
        elif token.kind == "name" and token.text == "in" and any(inside):
            searches = 1
    if deepest > _DEEPEST_MACROS:
        raise ConditionError(
            f"all() and exists() stand {deepest} deep in one another; "
            f"{_DEEPEST_MACROS} is most."
        )
    return deepest + searches


def _check_patterns(tokens: list[_Token]) -> int:
    """The number of patterns, each tried out. Patterns are linear in the text."""
    number = 0
    for index, name, _method in _calls(tokens):
        if name != "matches":
            continue
        number += 1
        given = tokens[index + 2] if index + 3 < len(tokens) else None
        if given is None or given.kind != "string" or tokens[index + 3].text != ")":
            raise ConditionError(
                'matches() takes one pattern written out, such as matches("^[A-Z]+$").'
            )
        pattern = str(cel.evaluate(given.text))
        if len(pattern) > _LONGEST_PATTERN:
            raise ConditionError(
                f"A pattern has {_LONGEST_PATTERN} characters at most."
            )
        try:
            validator_for(
                {"type": "string", "pattern": pattern},
                pattern_options=RegexOptions(size_limit=_PATTERN_BYTES),
            )
            cel.evaluate(f'"".matches({given.text})')
        except (RuntimeError, ValueError):
            raise ConditionError(
                f"The pattern {pattern[:60]!r} cannot be used: it is no regular "
                "expression without back-references and look-around, or too large."
            ) from None
    return number


def _syntax(text: str) -> str:
    match = re.search(r"<input>:(\d+):(\d+): (.*)", text)
    if match is None:
        return "It is no CEL expression."
    line, column, problem = match.groups()
    problem = re.sub(r" expecting \{.*", "", problem).removeprefix("Syntax error: ")
    return f"Line {line}, column {column}: {problem[:200]}."


class Scope:
    """What conditions see of one call; each variable is converted once, when needed."""

    __slots__ = ("_characters", "_context", "_known", "_make", "_values")

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._make = make
        self._context: cel.Context | None = None
        self._known: set[str] = set()
        self._values = self._characters = 0

    def holds(self, condition: Condition) -> bool:
        """Whether the condition is true for this call. Raises ConditionError."""
        context = self._context
        if context is None:
            context = self._context = cel.Context()
        try:
            for name in condition.variables - self._known:
                value = self._make(name)
                if name == "args":
                    self._values, self._characters = _count(value)
                context.add_variable(name, value)
                self._known.add(name)
            if condition.depth:
                self._check_cost(condition)
            result = condition.program.execute(context)
        except ConditionError:
            raise
        except BaseException as error:  # noqa: BLE001 - also a panic of the library
            raise _failed(error) from None
        if result is True or result is False:
            return result
        raise ConditionError(
            f"the condition gave {_kind(result)} instead of true or false"
        )

    def _check_cost(self, condition: Condition) -> None:
        turns = condition.turns(self._values)
        if turns > _MOST_TURNS or turns * self._characters > _MOST_CHARACTERS:
            raise ConditionError(
                "the arguments hold too much for a condition with all() or exists()"
            )


def _count(value: Any) -> tuple[int, int]:
    """How many values and characters there are. Raises ConditionError where many."""
    number = characters = 0
    waiting = [value]
    while waiting:
        one = waiting.pop()
        number += 1
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, str):
            characters += len(one)
        if number + len(waiting) > _MOST_VALUES:
            raise ConditionError(
                f"the arguments hold more than {_MOST_VALUES:,} values"
            )
    return number, characters


def _kind(value: object) -> str:
    if isinstance(value, datetime):
        return "a time"
    names = {int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "something else")


def _failed(error: BaseException) -> ConditionError:
    if isinstance(error, KeyError):
        name = str(error.args[0])[:60] if error.args else "?"
        return ConditionError(f"there is no {name!r}: guard it with has()")
    if isinstance(error, IndexError):
        return ConditionError("a list is shorter than the condition expects")
    if isinstance(error, ZeroDivisionError):
        return ConditionError("it divides by zero")
    if isinstance(error, OverflowError):
        return ConditionError("a number is too large")
    if isinstance(error, TypeError):
        return ConditionError("it compares or joins values of different types")
    if isinstance(error, RuntimeError | ValueError):
        # The library's own words may repeat arguments.
        return ConditionError("it cannot be evaluated with these arguments")
    return _unexpected(error)


def _unexpected(error: BaseException) -> ConditionError:
    # A panic of the library derives from BaseException, as does an exit.
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error
    return ConditionError("it cannot be evaluated")
