"""Built-in checks of a rule: each says what it found, never the found text itself.

What a check finds is what is wrong. Rules apply where their check finds something; an
``allow`` rule holds where it finds nothing.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from audit.redact import SECRET_VALUES, names_a_secret
from policy import paths
from policy.paths import Path

ARGUMENTS, RESULTS, BOTH = "arguments", "results", "both"
_MOST_CHARACTERS = 4_000_000
_MOST_FINDINGS = 5
_DEEPEST = 60
_LONGEST_AMOUNT = 60


class CheckError(Exception):
    """The check cannot say: the call is treated as if it found something."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A kind of text; ``valid`` looks closer at what the expression found."""

    expression: re.Pattern[str]
    valid: Callable[[str], bool] = lambda _: True


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _luhn(text: str) -> bool:
    digits = [int(digit) for digit in reversed(_digits(text))]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[1::2]]
    return 13 <= len(digits) <= 19 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _mod_97(text: str) -> bool:
    plain = re.sub(r"[\s-]", "", text).upper()
    return int("".join(str(int(one, 36)) for one in plain[4:] + plain[:4])) % 97 == 1


# Bounded repetitions and fixed starts: linear in whatever a script sends.
PII: dict[str, Pattern] = {
    "email": Pattern(
        re.compile(
            r"(?<![\w.%+-])[\w.%+-]{1,64}@[^\W_][\w-]{0,62}(?:\.[\w-]{1,63}){1,8}"
        )
    ),
    "phone": Pattern(
        re.compile(
            r"(?<![\w+])(?<!\d[ -])(?:\+|00)[1-9](?:[ ()./-]{0,2}\d){7,14}(?!\d)"
        )
    ),
    "card": Pattern(
        re.compile(r"(?<![\d.-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\d])"), _luhn
    ),
    "iban": Pattern(
        re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}(?!\w)"),
        _mod_97,
    ),
    "ssn": Pattern(
        re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
    ),
}
SECRETS: dict[str, Pattern] = {"secret": Pattern(SECRET_VALUES)}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}:[/\\]{1,3}[^\s\"'<>]{0,2000}")
_AT = re.compile(r"@([^\s@<>,;:\"()]{1,255})")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Check:
    """A check with its options, as a rule asks for it."""

    kind: str
    where: str = ARGUMENTS
    find: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()
    allow: tuple[str, ...] = ()
    most: Decimal = Decimal(0)
    zone: str = "UTC"
    days: tuple[str, ...] = ()
    first: time = time()
    last: time = time()
    holidays: frozenset[date] = field(default_factory=frozenset)

    @property
    def on_arguments(self) -> bool:
        return self.where != RESULTS

    @property
    def on_results(self) -> bool:
        return self.where != ARGUMENTS

    @property
    def masks(self) -> bool:
        """Whether what it finds can be masked."""
        return self.kind in {"pii", "secrets"}


def findings(check: Check, value: Any, *, at: datetime) -> tuple[str, ...]:
    """What the check finds, in words, up to five. Raises CheckError."""
    if check.kind == "working_hours":
        return _hours(check, at)
    if check.kind == "max_amount":
        return _amounts(check, value)
    parts = [("", value)]
    if check.paths:
        parts = [
            (paths.show(path), one)
            for path in check.paths
            for one in paths.find(value, path)
        ]
    found: dict[str, None] = {}
    for place, part in parts:
        for one in _texts(part, place):
            for name in _in_text(check, one):
                found[f"{name} at {one.where or 'the value itself'}"] = None
        if len(found) >= _MOST_FINDINGS:
            break
    return tuple(found)[:_MOST_FINDINGS]


def mask(check: Check, value: Any) -> Any:
    """A copy in which what the check finds is replaced. Raises CheckError."""
    masker = _Masker(_patterns(check), check.kind == "secrets")
    if not check.paths:
        return masker.masked(value, "", 0)
    for path in check.paths:
        masker.start = path[-1] if isinstance(path[-1], str) else ""
        value = paths.replace(value, path, masker.from_path)
    return value


@dataclass(slots=True)
class _Budget:
    """Bounds how much text a check looks at."""

    left: int = _MOST_CHARACTERS

    def spend(self, value: Any, depth: int) -> None:
        self.left -= len(value) if isinstance(value, str) else 1
        if self.left < 0 or depth > _DEEPEST:
            raise CheckError("there is too much text to be checked")


@dataclass(slots=True)
class _Masker:
    patterns: Mapping[str, Pattern]
    by_name: bool
    start: str = ""
    budget: _Budget = field(default_factory=_Budget)

    def from_path(self, value: Any) -> Any:
        return self.masked(value, self.start, 0)

    def masked(self, value: Any, name: str, depth: int) -> Any:
        self.budget.spend(value, depth)
        if isinstance(value, dict):
            return {
                _masked_text(key, self.patterns): self.masked(inner, key, depth + 1)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self.masked(inner, name, depth + 1) for inner in value]
        if isinstance(value, str):
            if value and self.by_name and names_a_secret(name):
                return "[redacted: secret]"
            return _masked_text(value, self.patterns)
        if isinstance(value, int) and not isinstance(value, bool):
            shown = _masked_text(str(value), self.patterns)
            return value if shown == str(value) else shown
        return value


def _masked_text(text: str, patterns: Mapping[str, Pattern]) -> str:
    for name, pattern in patterns.items():

        def shown(
            match: re.Match[str], name: str = name, pattern: Pattern = pattern
        ) -> str:
            return f"[redacted: {name}]" if pattern.valid(match[0]) else match[0]

        text = pattern.expression.sub(shown, text)
    return text


def _patterns(check: Check) -> Mapping[str, Pattern]:
    if check.kind == "secrets":
        return SECRETS
    return {name: PII[name] for name in check.find or PII}


@dataclass(frozen=True, slots=True)
class _Text:
    """A text or number with where it stands; ``name`` is the field's own name."""

    where: str
    text: str
    name: str = ""


def _texts(value: Any, place: str) -> list[_Text]:
    """Every text and number inside; names of fields are texts too."""
    budget = _Budget()
    found: list[_Text] = []
    waiting = [(place, place.rpartition(".")[2], value, 0)]
    while waiting:
        where, name, one, depth = waiting.pop()
        budget.spend(one, depth)
        if isinstance(one, str):
            found.append(_Text(where, one, name))
        elif isinstance(one, int) and not isinstance(one, bool):
            found.append(_Text(where, str(one)))
        elif isinstance(one, dict):
            for key, inner in one.items():
                budget.spend(key, depth)
                found.append(_Text(f"a name in {where or 'it'}", key))
                shown = f"{where}.{key[:60]}" if where else key[:60]
                waiting.append((shown, key, inner, depth + 1))
        elif isinstance(one, list):
            waiting += [(f"{where}[]", name, inner, depth + 1) for inner in one]
    return found


def _in_text(check: Check, one: _Text) -> list[str]:
    if check.kind == "url_domains":
        return ["a URL of another domain"] if _foreign_url(check, one.text) else []
    if check.kind == "email_domains":
        return (
            ["an address of another domain"] if _foreign_mail(check, one.text) else []
        )
    if check.kind == "secrets" and one.text and names_a_secret(one.name):
        return ["secret"]
    return [
        name
        for name, pattern in _patterns(check).items()
        if any(map(pattern.valid, _matches(pattern, one.text)))
    ]


def _matches(pattern: Pattern, text: str) -> Iterator[str]:
    return (match[0] for match in pattern.expression.finditer(text))


def _allowed(check: Check, domain: str) -> bool:
    plain = domain.casefold().rstrip(".")
    return any(fnmatchcase(plain, pattern) for pattern in check.allow)


def _foreign_url(check: Check, text: str) -> bool:
    # Browsers and libraries read a backslash as a slash and drop tabs and newlines.
    plain = re.sub(r"[\t\r\n]", "", unicodedata.normalize("NFKC", text))
    plain = plain.replace("\\", "/")
    urls = _URL.findall(plain)
    if check.paths:
        named = plain.strip()
        return bool(named) and not _allowed(check, _host(named))
    return any(not _allowed(check, _host(url)) for url in urls)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _foreign_mail(check: Check, text: str) -> bool:
    plain = unicodedata.normalize("NFKC", text)
    domains = [found.rstrip(".>]") for found in _AT.findall(plain)]
    if check.paths:
        return bool(plain.strip()) and (
            not domains
            or plain.count("@") != len(domains)
            or not all(_allowed(check, domain) for domain in domains)
        )
    return any("." in domain and not _allowed(check, domain) for domain in domains)


def _amounts(check: Check, value: Any) -> tuple[str, ...]:
    most, found = check.most, []
    for path in check.paths:
        for one in paths.find(value, path):
            if one is not None and not -most <= _amount(one, path) <= most:
                found.append(f"more than {most} at {paths.show(path)}")
    return tuple(dict.fromkeys(found))[:_MOST_FINDINGS]


def _amount(value: Any, path: paths.Path) -> Decimal:
    try:
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            text = str(value)
            amount = Decimal(text)
            if len(text) <= _LONGEST_AMOUNT and amount.is_finite():
                return amount
    except (InvalidOperation, ValueError):
        pass
    raise CheckError(f"{paths.show(path)} is no amount")


def _hours(check: Check, at: datetime) -> tuple[str, ...]:
    here = at.astimezone(ZoneInfo(check.zone))
    if here.date() in check.holidays:
        return ("a holiday",)
    if DAYS[here.weekday()] not in check.days:
        return (f"{DAYS[here.weekday()]} is no working day",)
    if not check.first <= here.time() < check.last:
        return (f"{here:%H:%M} {check.zone} is outside working hours",)
    return ()
