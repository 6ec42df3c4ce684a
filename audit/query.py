"""The explorer's query language: text to immutable terms, and back.

A query is terms with spaces between, all of which must hold::

    actor:user:ann tool:crm.*,mail.send -env:dev "big refund"

    query  = { [ "-" ] term }
    term   = [ qualifier ":" ] value { "," value }      (commas only after a qualifier)
    value  = ( word | '"' text '"' ) [ "*" ]            (in quotes, \\" and \\\\ escape)
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

_LONGEST = 1_000
MOST_TERMS = 30


class QueryError(ValueError):
    """What cannot be understood, in words, and where it begins (from 0)."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


@dataclass(frozen=True, slots=True)
class Qualifier:
    """A property that can be asked for; ``prefixes`` if a ``*`` may end its values."""

    name: str
    help: str
    example: str
    prefixes: bool = True
    choices: tuple[str, ...] = ()


QUALIFIERS: tuple[Qualifier, ...] = (
    Qualifier("actor", "who did it: an id, or words of the name", "actor:user:ann"),
    Qualifier("key", "public id of the API key", "key:tg_0123abcd"),
    Qualifier("name", "kind of event", "name:call.refused,session.*"),
    Qualifier(
        "decision",
        "what was decided",
        "decision:deny",
        prefixes=False,
        choices=("allow", "deny"),
    ),
    Qualifier("tool", "tool that was called or decided on", "tool:crm.list_orders"),
    Qualifier("server", "tool server, with the calls of its tools", "server:crm"),
    Qualifier("team", "team of the actor", "team:sales"),
    Qualifier("env", "environment", "-env:dev"),
    Qualifier("target", "what it was done to: kind/id, or an id", "target:key/12"),
    Qualifier("run", "run", "run:run_0123"),
    Qualifier("request", "request", "request:req_0123"),
    Qualifier("trace", "trace id of the request", "trace:4bf92f35*"),
    Qualifier("policy", "version of the rules", "policy:7", prefixes=False),
    Qualifier(
        "digest",
        "calls with the same argument value, by its digest on an event's page",
        "digest:0123456789abcdef0123456789abcdef",
        prefixes=False,
    ),
    Qualifier("ip", "client's address", "ip:10.1.*"),
    Qualifier(
        "after", "at this time or later", "after:2026-11-01 or after:2h", prefixes=False
    ),
    Qualifier("before", "earlier than this", "before:2026-11-20T18:00", prefixes=False),
)
_BY_NAME = {qualifier.name: qualifier for qualifier in QUALIFIERS}
_ALIASES = {"environment": "env", "event": "name", "address": "ip", "since": "after"}
_TIMES = ("after", "before")
_TAKES_TEXT = 'To look for the text itself, put it in quotes: "{0}".'
_NAME = re.compile(r"(-?)([A-Za-z_]+):")
_WORD = re.compile(r'[^\s,"]+')
_TEXT = re.compile(r'[^\s"]+')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_AGO = re.compile(r"(\d{1,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LARGEST = 2**31 - 1
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Value:
    """One text that is asked for, or the start of it."""

    text: str
    prefix: bool = False

    def __str__(self) -> str:
        return _shown(self.text, _WORD) + "*" * self.prefix


@dataclass(frozen=True, slots=True)
class Term:
    """Any of ``values`` in one property; without a qualifier, words of the event."""

    qualifier: str
    values: tuple[Value, ...]
    negated: bool = False

    def __str__(self) -> str:
        sign = "-" * self.negated
        if self.qualifier:
            return f"{sign}{self.qualifier}:{','.join(map(str, self.values))}"
        (value,) = self.values
        plain = not value.text.startswith("-") and not _NAME.match(value.text)
        shown = _shown(value.text, _TEXT, plain=plain)
        return f"{sign}{shown}{'*' * value.prefix}"


Terms = tuple[Term, ...]


def text_of(terms: Terms) -> str:
    """The text that ``parse`` reads as these terms."""
    return " ".join(map(str, terms))


def term(
    qualifier: str, text: str, *, negated: bool = False, prefix: bool = False
) -> Term:
    """A term for one value, as a click on it asks for."""
    return Term(qualifier, (Value(text, prefix),), negated)


def parse(text: str) -> Terms:
    """The terms of a query. Raises QueryError."""
    if len(text) > _LONGEST:
        raise QueryError(f"Shorten the query to {_LONGEST:,} characters.", _LONGEST)
    if (at := text.find("\x00")) >= 0:
        raise QueryError("Leave out the NUL character.", at)
    found: list[Term] = []
    at = _blank(text, 0)
    while at < len(text):
        if len(found) == MOST_TERMS:
            raise QueryError(f"Use at most {MOST_TERMS} terms.", at)
        one, at = _term(text, at)
        if one not in found:
            found.append(one)
        at = _blank(text, at)
    return tuple(found)


def moment(text: str, *, at: datetime) -> datetime | None:
    """The time a value of ``after`` or ``before`` means; naive for local ones."""
    if ago := _AGO.fullmatch(text):
        return at - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if _FIRST_YEAR <= found.year <= _LAST_YEAR else None


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _term(text: str, start: int) -> tuple[Term, int]:
    named = _NAME.match(text, start)
    if named is None:
        negated = text[start] == "-"
        value, at = _value(text, start + negated, _TEXT)
        if not any(map(str.isalnum, value.text)):
            raise QueryError("Look for something with letters or digits.", start)
        return Term("", (value,), negated), _ended(text, at)
    qualifier = _qualifier(named, text)
    values, at = [], named.end()
    while True:
        value, end = _value(text, at, _WORD)
        _check(qualifier, value, at)
        if value not in values:
            values.append(value)
        at = end
        if not text.startswith(",", at):
            break
        at += 1
    if qualifier.name in _TIMES and len(values) > 1:
        raise QueryError(f"Give {qualifier.name}: one time.", named.start())
    return Term(qualifier.name, tuple(values), bool(named[1])), _ended(text, at)


def _qualifier(named: re.Match[str], text: str) -> Qualifier:
    name = named[2].lower()
    if found := _BY_NAME.get(_ALIASES.get(name, name)):
        return found
    near = get_close_matches(name, [*_BY_NAME, *_ALIASES], n=1)
    known = ", ".join(_BY_NAME)
    hint = f"Did you mean {near[0]}:?" if near else f"Known are {known}."
    rest = _TEXT.match(text, named.start(2))
    quote = _TAKES_TEXT.format(rest[0] if rest else name)
    raise QueryError(f"There is no qualifier {name}:. {hint} {quote}", named.start(2))


def _value(text: str, at: int, word: re.Pattern[str]) -> tuple[Value, int]:
    """The value that begins at ``at``, and where it ends."""
    if text.startswith('"', at):
        quoted = _QUOTED.match(text, at)
        if quoted is None:
            raise QueryError('Close the quotes with a second ".', at)
        end = quoted.end()
        prefix = text.startswith("*", end)
        return Value(re.sub(r"(?s)\\(.)", r"\1", quoted[1]), prefix), end + prefix
    plain = word.match(text, at)
    if plain is None:
        raise QueryError(
            'Say what to look for here, as in team:sales; for none at all, team:"".',
            min(at, max(len(text) - 1, 0)),
        )
    found = plain[0]
    prefix = found.endswith("*")
    return Value(found[:-1] if prefix else found, prefix), plain.end()


def _ended(text: str, at: int) -> int:
    if at < len(text) and not text[at].isspace():
        raise QueryError("Put a space here, or the whole value in quotes.", at)
    return at


def _check(qualifier: Qualifier, value: Value, at: int) -> None:
    name = qualifier.name
    if value.prefix and not qualifier.prefixes:
        raise QueryError(f"{name}: takes whole values, without a *.", at)
    if value.prefix and not value.text:
        raise QueryError("Give the start of the value before the *.", at)
    if qualifier.choices and value.text not in ("", *qualifier.choices):
        said = " or ".join(f"{name}:{choice}" for choice in qualifier.choices)
        raise QueryError(f"Use {said}.", at)
    if name == "policy" and not _is_version(value.text):
        raise QueryError("Give the number of a version, as in policy:7.", at)
    if name == "digest" and not _DIGEST.fullmatch(value.text):
        raise QueryError("Give a digest as an event's page shows it.", at)
    if name in _TIMES:
        _check_time(name, value.text, at)


def _check_time(name: str, text: str, at: int) -> None:
    if not _AGO.fullmatch(text) and moment(text, at=_EPOCH) is None:
        raise QueryError(
            f"Give {name}: a day (2026-11-01), a time (2026-11-01T18:00) or how "
            "long ago (30m, 2h, 7d, 4w).",
            at,
        )


def _is_version(text: str) -> bool:
    return (
        text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= _LARGEST
    )


def _shown(text: str, word: re.Pattern[str], *, plain: bool = True) -> str:
    if plain and word.fullmatch(text) and not text.endswith("*"):
        return text
    escaped = re.sub(r'(["\\])', r"\\\1", text)
    return f'"{escaped}"'
