"""Reads the fields of a rule's document, and gathers what is wrong with them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.errors import Invalid
from policy import checks, paths
from policy.checks import Check

MOST_PATHS = 50
_MOST_NAMES = 200
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d\Z|24:00\Z")
_DOMAIN = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*\Z|\*\Z")
# What each kind of check takes beside its kind: the names, then those it cannot lack.
_OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pii": (("in", "find", "paths"), ()),
    "secrets": (("in", "paths"), ()),
    "url_domains": (("allow", "paths"), ("allow",)),
    "email_domains": (("allow", "paths"), ("allow",)),
    "max_amount": (("path", "max"), ("path", "max")),
    "working_hours": (("zone", "days", "from", "to", "holidays"), ("from", "to")),
}
KINDS = tuple(_OPTIONS)


@dataclass(slots=True)
class Reader:
    """Reads one rule and gathers what is wrong with it."""

    raw: Mapping[Any, Any]
    rule: str
    problems: list[dict[str, str]] = field(default_factory=list)

    def wrong(self, name: str, message: str) -> None:
        self.problems.append({"rule": self.rule, "field": name, "message": message})

    def known(self, raw: Mapping[Any, Any], names: Iterable[str], prefix: str) -> None:
        known = tuple(names)
        for key in raw:
            if key not in known:
                self.wrong(
                    f"{prefix}{str(key)[:60]}",
                    f"there is no such field; use {', '.join(known)}.",
                )

    def text(self, name: str, most: int) -> str:
        value = self.raw.get(name, "")
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > most or not _storable(value):
            self.wrong(name, f"give a text of at most {most:,} characters.")
            return ""
        return value.strip()

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.raw.get(name, default)
        if value not in choices:
            self.wrong(name, f"{value!r} is none of {', '.join(choices)}.")
            return choices[0]
        return str(value)

    def mapping(self, name: str) -> Mapping[Any, Any]:
        value = self.raw.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.wrong(name, "give names with their values, as in {name: value}.")
            return {}
        return value

    def words(self, value: object, name: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or len(value) > _MOST_NAMES:
            self.wrong(name, f"give a list of at most {_MOST_NAMES} names.")
            return ()
        bad = [
            one
            for one in value
            if not isinstance(one, str)
            or not 0 < len(one) <= _MOST_NAMES
            or not _storable(one)
        ]
        if bad:
            self.wrong(name, f"{bad[0]!r} is no name: write it in quotation marks.")
            return ()
        return tuple(dict.fromkeys(value))

    def whole(self, value: object, name: str) -> int | None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.wrong(name, "give a whole number from 0.")
            return None
        return value

    def paths(self, value: object, name: str) -> tuple[paths.Path, ...]:
        if value is None:
            return ()
        if not isinstance(value, list | tuple) or len(value) > MOST_PATHS:
            self.wrong(name, f"give a list of at most {MOST_PATHS} paths.")
            return ()
        found = []
        for one in value:
            try:
                path = paths.parse(one)
            except Invalid as error:
                self.wrong(name, error.message)
                continue
            if all(_storable(str(step)) for step in path):
                found.append(path)
            else:
                self.wrong(name, "a path is printable text.")
        return tuple(dict.fromkeys(found))


def _storable(text: str) -> bool:
    """Whether PostgreSQL takes the text: no NUL, no half of a surrogate pair."""
    return "\x00" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def read_check(read: Reader) -> Check | None:
    raw = read.mapping("check")
    if not raw:
        return None
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in _OPTIONS:
        read.wrong("check.kind", f"{kind!r} is none of {', '.join(_OPTIONS)}.")
        return None
    names, needed = _OPTIONS[kind]
    read.known(raw, ("kind", *names), "check.")
    before = len(read.problems)
    for name in needed:
        if raw.get(name) in (None, [], ""):
            read.wrong(f"check.{name}", f"{kind} cannot do without it.")
    if len(read.problems) > before:
        return None
    where = raw.get("in", checks.ARGUMENTS)
    if where not in (checks.ARGUMENTS, checks.RESULTS, checks.BOTH):
        read.wrong("check.in", "use arguments, results or both.")
    find = read.words(raw.get("find"), "check.find")
    for one in find:
        if one not in checks.PII:
            read.wrong("check.find", f"{one!r} is none of {', '.join(checks.PII)}.")
    allow = tuple(one.casefold() for one in read.words(raw.get("allow"), "check.allow"))
    for one in allow:
        if not _DOMAIN.match(one):
            read.wrong("check.allow", f"{one!r} is no domain: acme.com or *.acme.com.")
    path = raw.get("path")
    places = read.paths(raw.get("paths"), "check.paths")
    if path is not None:
        places = read.paths([path], "check.path")
    check = Check(kind, str(where), find, places, allow, _most(read, raw))
    return check if kind != "working_hours" else _hours(read, raw)


def _most(read: Reader, raw: Mapping[Any, Any]) -> Decimal:
    value = raw.get("max", 0)
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            amount = Decimal(str(value))
            if amount.is_finite() and 0 <= amount < Decimal("1e30"):
                return amount
    except InvalidOperation:
        pass
    read.wrong("check.max", "give an amount from 0.")
    return Decimal(0)


def _hours(read: Reader, raw: Mapping[Any, Any]) -> Check:
    zone = raw.get("zone", "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        read.wrong("check.zone", f"{zone!r} is no time zone such as Europe/Berlin.")
        zone = "UTC"
    days = read.words(raw.get("days", list(checks.DAYS[:5])), "check.days")
    for day in days:
        if day not in checks.DAYS:
            read.wrong("check.days", f"{day!r} is none of {', '.join(checks.DAYS)}.")
    ends = []
    for name in ("from", "to"):
        text = raw[name]
        if not isinstance(text, str) or not _TIME.match(text):
            read.wrong(f"check.{name}", 'give a time such as "09:00".')
            text = "00:00"
        ends.append(time.max if text == "24:00" else time.fromisoformat(text))
    if not read.problems and ends[0] >= ends[1]:
        read.wrong("check.to", "the day ends before it begins.")
    holidays = set()
    for day in read.words(raw.get("holidays"), "check.holidays"):
        try:
            holidays.add(date.fromisoformat(day))
        except ValueError:
            read.wrong("check.holidays", f'{day!r} is no date such as "2026-12-25".')
    return Check(
        "working_hours",
        zone=str(zone),
        days=tuple(day for day in checks.DAYS if day in days),
        first=ends[0],
        last=ends[1],
        holidays=frozenset(holidays),
    )
